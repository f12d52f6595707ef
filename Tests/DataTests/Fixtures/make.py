"""Makes odd-images.zip and odd-images.json beside this file: the project's set of unusual and broken images, compressed.

    python make.py FOLDER      with the whole odd-images.zip and odd-images.json in FOLDER
"""

import json
import sys
import zipfile
from pathlib import Path

here, folder = Path(__file__).parent, Path(sys.argv[1])

files = json.loads((folder / "odd-images.json").read_text())["files"]
expected = {}
with zipfile.ZipFile(folder / "odd-images.zip") as source, zipfile.ZipFile(here / "odd-images.zip", "w") as target:
    for info in source.infolist():
        kept = zipfile.ZipInfo(info.filename, (2020, 1, 1, 0, 0, 0))
        kept.compress_type = zipfile.ZIP_DEFLATED
        target.writestr(kept, source.read(info))
        file = files[info.filename]
        expected[info.filename] = None if file["expect"] == "error" else {
            "width": file["width"], "height": file["height"], "mean": file["mean_rgb"], "corners": file["corners_rgb"],
            "tolerance": file.get("tolerance", 0)}
(here / "odd-images.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
