"""Average the saves of a class: each student trains the teacher's network further, the mean knows a bit from each.

    python samples/class_average.py                 a class of thirty, made up, to see what comes of it
    python samples/class_average.py FOLDER OUT      real saves: every folder and .zip in FOLDER, averaged into OUT
    python samples/class_average.py FOLDER OUT --test data.json     and how much of a saveData() each one gets right

All must go on from one and the same save. Networks that began with different random weights have nothing in common,
and neither has their mean; ml5.average refuses those that differ in layers, names or ranges, and says where.
"""

import argparse
import colorsys
import random
import sys
from pathlib import Path
from typing import Any

from tfjs_torch import TfjsTorchError, ml5

TEACHER = Path(__file__).parent / "ml5-classifier"
HUES = {"red": (345, 372), "yellow": (45, 66), "green": (90, 150), "blue": (200, 255)}  # as in the teacher's sketch
PLAIN = {"red": (250, 5, 10), "yellow": (250, 230, 10), "green": (20, 160, 60), "blue": (0, 60, 240)}
LAMP = (1, 0.75, 0.35)  # of the classroom: it gives little blue, which the teacher's network has never seen

Row = dict[str, Any]


def camera(dice: random.Random) -> list[float]:
    """How much of red, green and blue a student's camera sees by the classroom's lamp."""
    return [min(1, part * dice.uniform(0.8, 1.2)) for part in LAMP]


def colours(count: int, camera: list[float], dice: random.Random) -> list[Row]:
    """Colours as this camera sees them, with their names."""
    rows = []
    for _ in range(count):
        name = dice.choice(list(HUES))
        light = colorsys.hsv_to_rgb(dice.uniform(*HUES[name]) / 360 % 1, dice.uniform(0.5, 1), dice.uniform(0.4, 1))
        r, g, b = (round(255 * part * share) for part, share in zip(light, camera, strict=True))
        rows.append({"r": r, "g": g, "b": b, "colour": name})
    return rows


def make_class(folder: Path, students: int, dice: random.Random) -> list[Path]:
    """Every student shows some colours to a camera, trains the teacher's network further, and hands in a save."""
    saves = []
    for number in range(1, students + 1):
        network = ml5.load(TEACHER)
        rows = colours(20, camera(dice), dice)
        # Of each colour at least one: what nobody shows is forgotten.
        rows += [{"r": r, "g": g, "b": b, "colour": name} for name, (r, g, b) in PLAIN.items()]
        network.train(rows, epochs=20, validation_split=0, seed=number, progress=False)
        saves.append(folder / f"student-{number:02}")
        network.save(saves[-1])
    return saves


def saves_in(folder: Path) -> list[Path]:
    """Folders with a model in them, and zips."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.suffix == ".zip" or (path.is_dir() and any(path.glob("*_meta.json")))]


def compare(saves: list[Path], average: ml5.NeuralNetwork, test: Any) -> None:
    """Print who gets how many of the rows right."""
    right = {path.name: ml5.load(path).evaluate(test)["accuracy"] for path in saves}
    for name, share in sorted(right.items(), key=lambda item: -item[1]):
        print(f"  {name}  {share:.1%}")
    print(f"students  {sum(right.values()) / len(right):.1%} (the mean), {min(right.values()):.1%} (the worst)")
    print(f"average   {average.evaluate(test)['accuracy']:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("out/class"), help="where the saves are")
    parser.add_argument("out", nargs="?", type=Path, help="where the average goes; without it, the class is made up")
    parser.add_argument("--test", type=Path, help="rows that nobody trained with: a saveData() file or a CSV")
    parser.add_argument("--students", type=int, default=30, help="of a class that is made up")
    args = parser.parse_args()

    test: Any = args.test
    if args.out is None:
        dice = random.Random(5)
        saves = make_class(args.folder, args.students, dice)
        test = test or [row for _ in range(100) for row in colours(10, camera(dice), dice)]  # cameras that nobody has
        print(f"teacher   {ml5.load(TEACHER).evaluate(test)['accuracy']:.1%} of new colours by the lamp of the class")
        args.out = args.folder.with_name(f"{args.folder.name}-average")
    else:
        saves = [path for path in saves_in(args.folder) if path.resolve() != args.out.resolve()]
        for number, path in enumerate(saves, 1):
            print(f"model {number}: {path.name}")  # the numbers by which errors call them
    average = ml5.average(saves)
    if test:
        compare(saves, average, test)
    average.save(args.out)
    print(f"averaged {len(saves)} saves into {args.out}")


if __name__ == "__main__":
    try:
        main()
    except TfjsTorchError as error:
        sys.exit(str(error))
