"""What scripts do with an image, by name: each is run on Pillow's image and on ringfeed's."""

import copy
import io
import pickle

import numpy as np
from PIL import (
    Image,
    ImageChops,
    ImageDraw,
    ImageEnhance,
    ImageFile,
    ImageFilter,
    ImageOps,
    ImageStat,
)
from torchvision.transforms import functional as F
from torchvision.transforms.v2 import functional as F2

FLIP = Image.Transpose.FLIP_LEFT_RIGHT


def inplace(change):
    """The image after `change`, and what that gave."""

    def use(image):
        return change(image), image

    return use


def saved(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def leave(image):
    with image as same:
        inside = same.convert("RGB")
    return inside, same


def grey(image):
    return image.convert("L")


def with_own_info(image):
    other = image.crop((0, 0, 9, 9))
    other.info["more"] = 1
    return other, image.info


def with_a_list_in_info(image):
    image.info["list"] = []
    return image.crop((0, 0, 9, 9)).info["list"] is image.info["list"]


def without_tiles(image):
    image.tile = []
    return image.convert("RGB")


def draw(image):
    ImageDraw.Draw(image).rectangle((2, 2, 9, 9), fill=9)


USES = {
    # The class, what it knows, what stands in its place.
    "type": lambda i: (type(i).__name__, type(i).__module__, repr(i).split(" at ")[0]),
    "isinstance": lambda i: (isinstance(i, Image.Image), isinstance(i, ImageFile.ImageFile)),
    "attributes": lambda i: (i.size, i.width, i.height, i.mode, i.format, i.info, i.getbands()),
    "file": lambda i: (getattr(i, "filename", None), i.format_description, i.tell()),
    "readonly": lambda i: (i.readonly, i.palette is None, getattr(i, "is_animated", None)),
    "no attribute": lambda i: i.nonsense,
    "had attributes": lambda i: [hasattr(i, n) for n in ("_im", "tile", "fp", "text", "x")],
    "quantization": lambda i: (i.quantization, i.layer, i.layers),
    "im": lambda i: (i.im.size, i.im.mode),
    "getexif": lambda i: dict(i.getexif()),
    "_getexif": lambda i: i._getexif(),
    "text": lambda i: i.text,
    "transparency": lambda i: i.has_transparency_data,
    "mimetype": lambda i: i.get_format_mimetype(),
    "hash": hash,
    "equal": lambda i: (i == i.copy(), i == i.convert("RGB"), i != i, i == 3, i in [None, i]),
    # Copies.
    "copy": lambda i: i.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda i: pickle.loads(pickle.dumps(i)),
    "pickle protocol 2": lambda i: pickle.loads(pickle.dumps(i, protocol=2)),
    # In place.
    "load": inplace(lambda i: i.load()[3, 1]),
    "draft": inplace(lambda i: i.draft("RGB", (30, 20))),
    "draft grey": inplace(lambda i: i.draft("L", None)),
    "thumbnail": inplace(lambda i: i.thumbnail((30, 30))),
    "thumbnail without gap": inplace(lambda i: i.thumbnail((40, 40), reducing_gap=None)),
    "verify": inplace(lambda i: i.verify()),
    "close": inplace(lambda i: i.close()),
    "with": leave,
    "seek": inplace(lambda i: (i.seek(0), i.tell())),
    "seek beyond": inplace(lambda i: i.seek(1)),
    "draw": inplace(draw),
    "putpixel": inplace(lambda i: i.putpixel((1, 1), 7)),
    "putalpha": inplace(lambda i: i.putalpha(9)),
    "paste": inplace(lambda i: i.paste(i.crop((0, 0, 5, 5)), (2, 2))),
    "turn in place": inplace(lambda i: ImageOps.exif_transpose(i, in_place=True)),
    "info is its own": with_own_info,
    "list in info": with_a_list_in_info,
    # Then something else.
    "draft, convert": lambda i: (i.draft(None, (30, 20)), i.convert("RGB"), i),
    "draft to the same, convert": lambda i: (i.draft(None, i.size), i.convert("RGB"), i),
    "verify, convert": lambda i: (i.verify(), i.convert("RGB")),
    "close, convert": lambda i: (i.close(), i.convert("RGB")),
    "leave, convert": lambda i: (i.__exit__(), i.convert("RGB")),
    "leave": lambda i: (file := i.fp, i.__exit__(), file.closed)[2],
    "close file": lambda i: (file := i.fp, i.close(), file.closed)[2],
    "without tiles": without_tiles,
    # What a window may serve.
    "convert": lambda i: i.convert("RGB"),
    "convert nothing": lambda i: i.convert(),
    "convert twice": lambda i: (i.convert("RGB"), i.convert("RGB")),
    "convert by name": lambda i: i.convert(mode="RGB"),
    "convert dithered": lambda i: i.convert("RGB", dither=Image.Dither.NONE),
    "convert matrix": lambda i: i.convert("RGB", (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 9)),
    "convert grey": grey,
    "convert other": lambda i: (i.convert("CMYK"), i.convert("RGBA"), i.convert("YCbCr")),
    "convert nonsense": lambda i: i.convert("nonsense"),
    "convert palette": lambda i: i.convert("P"),
    "crop": lambda i: i.crop((1, 2, 30, 40)),
    "crop whole": lambda i: i.crop((0, 0, *i.size)),
    "crop whole list": lambda i: i.crop([0, 0, *i.size]),
    "crop nothing": lambda i: i.crop(),
    "crop outside": lambda i: i.crop((-5, -5, 50, 50)),
    "crop float": lambda i: i.crop((1.5, 2.5, 30.5, 31.5)),
    "crop numbers of numpy": lambda i: i.crop(tuple(np.array([1, 2, 30, 31]))),
    "crop array": lambda i: i.crop(np.array([1, 2, 30, 31])),
    "crop turned": lambda i: i.crop((50, 0, 10, 9)),
    "crop turned over": lambda i: i.crop((0, 9, 10, 3)),
    "crop empty": lambda i: i.crop((5, 5, 5, 9)),
    "crop short": lambda i: i.crop((5, 5, 9)),
    "crop text": lambda i: i.crop("1234"),
    "crop of crop": lambda i: i.crop((4, 4, 50, 50)).crop((2, 3, 9, 8)).crop((1, 1, 5, 5)),
    "resize": lambda i: i.resize((20, 30)),
    "resize same": lambda i: i.resize(i.size),
    "resize list": lambda i: i.resize([20, 30], 2),
    "resize array": lambda i: i.resize(np.array([20, 30]), 3),
    "resize to nothing": lambda i: i.resize((0, 3)),
    "resize negative": lambda i: i.resize((-1, 3)),
    "resize float": lambda i: i.resize((2.5, 3)),
    "resize three": lambda i: i.resize((2, 3, 4)),
    "resize filter": lambda i: i.resize((20, 30), 99),
    "resize filter text": lambda i: i.resize((20, 30), "bilinear"),
    "resize box": lambda i: i.resize((20, 30), 3, box=(1.5, 2.5, 20.2, 30.9)),
    "resize whole box": lambda i: i.resize((20, 30), 3, box=(0, 0, *i.size)),
    "resize outer box": lambda i: i.resize((20, 30), 3, box=(0, 0, 999, 9)),
    "resize gap": lambda i: i.resize((10, 8), reducing_gap=2.0),
    "resize small gap": lambda i: i.resize((10, 8), reducing_gap=0.5),
    "resize nearest": lambda i: i.resize((33, 21), Image.Resampling.NEAREST),
    "crop, resize": lambda i: i.crop((3, 4, 50, 50)).resize((22, 22), 2),
    "crop, resize, flip": lambda i: i.crop((3, 4, 50, 50)).resize((22, 22), 2).transpose(FLIP),
    "flip": lambda i: i.transpose(FLIP),
    "flip, crop, resize": lambda i: i.transpose(FLIP).crop((3, 4, 50, 50)).resize((22, 22), 2),
    "flip twice": lambda i: (
        i.transpose(FLIP).crop((3, 4, 40, 40)).transpose(FLIP).crop((1, 1, 9, 7))
    ),
    "transposed": lambda i: [i.transpose(method) for method in Image.Transpose],
    "transposed wrongly": lambda i: i.transpose(99),
    "convert, crop, resize": lambda i: i.convert("RGB").crop((3, 4, 50, 50)).resize((22, 22), 3),
    "crops": lambda i: [i.crop((x, 1, x + 20, 30)) for x in range(5)],
    "windows": lambda i: [i.crop((x, 1, x + 20, 30)).resize((9, 9)) for x in range(3)],
    "crop, then the image": lambda i: (i.crop((1, 1, 9, 9)), i, i.crop((2, 2, 9, 9))),
    # What needs all pixels.
    "asarray": np.asarray,
    "array": lambda i: np.array(i, dtype=np.uint8),
    "interface": lambda i: i.__array_interface__["shape"],
    "arrow": lambda i: i.__arrow_c_array__()[1] is not None,
    "fromarray": lambda i: Image.fromarray(np.array(i)),
    "tobytes": lambda i: i.tobytes(),
    "getpixel": lambda i: i.getpixel((1, 1)),
    "histogram": lambda i: (i.histogram(), i.getextrema(), i.getbbox(), i.entropy()),
    "split": lambda i: i.split(),
    "getchannel": lambda i: i.getchannel(0),
    "point": lambda i: i.point(lambda value: value // 2),
    "reduce": lambda i: (i.reduce(2), i.reduce(1)),
    "rotate": lambda i: (i.rotate(10), i.rotate(90), i.rotate(0)),
    "affine": lambda i: i.transform(i.size, Image.Transform.AFFINE, (1, 0.2, 0, 0, 1, 0)),
    "quantize": lambda i: i.convert("RGB").quantize(8),
    "filter": lambda i: i.filter(ImageFilter.GaussianBlur(2)),
    "merge": lambda i: Image.merge("RGB", [grey(i)] * 3),
    "blend": lambda i: Image.blend(i, i.transpose(FLIP), 0.4),
    "composite": lambda i: Image.composite(i, i.transpose(FLIP), grey(i)),
    "chops": lambda i: (ImageChops.multiply(i, i), ImageChops.offset(i, 3)),
    "enhance": lambda i: ImageEnhance.Color(i).enhance(0.3),
    "stat": lambda i: ImageStat.Stat(i).mean,
    "png": lambda i: saved(i, "PNG"),
    "jpeg": lambda i: saved(i, "JPEG"),
    "jpeg kept": lambda i: saved(i, "JPEG", quality="keep"),
    "turn": lambda i: ImageOps.exif_transpose(i),
    "fit": lambda i: ImageOps.fit(i, (20, 30)),
    "pad": lambda i: ImageOps.pad(i, (90, 60)),
    "expand": lambda i: ImageOps.expand(i, 9),
    "equalize": ImageOps.equalize,
    "autocontrast": ImageOps.autocontrast,
    "solarize": ImageOps.solarize,
    "to_tensor": F.to_tensor,
    "pil_to_tensor": F.pil_to_tensor,
    "to_image": lambda i: F2.to_image(i),
    "dimensions": lambda i: (F.get_dimensions(i), F.get_image_size(i)),
    "resized_crop": lambda i: F.resized_crop(i, 2, 3, 30, 40, [16, 16]),
    "center_crop": lambda i: (F.center_crop(i, [20, 20]), F.center_crop(i, [200, 20])),
}
