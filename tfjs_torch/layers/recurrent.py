"""SimpleRNN, GRU, LSTM, their cells, RNN, StackedRNNCells."""

from __future__ import annotations
