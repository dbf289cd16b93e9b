// The first error of a page, also of a promise that nobody waits for, in `window.lost`.
addEventListener("unhandledrejection", ({ reason }) => (window.lost ??= String(reason?.message ?? reason)));
addEventListener("error", ({ message }) => (window.lost ??= message));
