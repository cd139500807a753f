"""Text as a mask, in the fonts that Pillow and OpenCV include."""

from typing import cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from signs.arrays import Field, Frame

#: "pillow" is Pillow's default font; the others are OpenCV's.
Font = str
_OPENCV_FONTS: dict[Font, int] = {
    "simplex": cv2.FONT_HERSHEY_SIMPLEX,
    "duplex": cv2.FONT_HERSHEY_DUPLEX,
    "complex": cv2.FONT_HERSHEY_COMPLEX,
}
_SHEET_HEIGHT, _SHEET_WIDTH = 120, 420


def text_mask(text: str, font: Font, *, height: int, width: int, stroke: int = 0) -> Field:
    """Text that fills a box of the given size exactly, as a float32 mask in [0, 1].

    The text metrics of fonts differ between libraries and versions; filling a box makes the size of the letters
    independent of them.
    """
    sheet = _pillow_sheet(text, stroke) if font == "pillow" else _opencv_sheet(text, font, stroke)
    rows, columns = np.nonzero(sheet.max(axis=1))[0], np.nonzero(sheet.max(axis=0))[0]
    cut = sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scaled = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    return cast(Field, scaled.astype(np.float32) / np.float32(255))


def _pillow_sheet(text: str, stroke: int) -> Frame:
    sheet = Image.new("L", (_SHEET_WIDTH, _SHEET_HEIGHT))
    typeface = ImageFont.load_default(70)
    ImageDraw.Draw(sheet).text((10, 10), text, fill=255, font=typeface, stroke_width=stroke)
    return np.asarray(sheet, np.uint8)


def _opencv_sheet(text: str, font: Font, stroke: int) -> Frame:
    sheet = np.zeros((_SHEET_HEIGHT, _SHEET_WIDTH), np.uint8)
    cv2.putText(sheet, text, (10, 95), _OPENCV_FONTS[font], 2.5, 255, 3 + 2 * stroke, cv2.LINE_AA)
    return sheet
