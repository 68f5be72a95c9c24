"""Checksums for `every_size_is_placed_as_by_the_origin` in runtime/src/people/detector/picture.rs: where YOLOX and Ultralytics
place frames of every size up to 4096 x 4096 in their input. Run with plain Python 3: `python3 tests/references/letterbox.py` (a minute)."""


def yolox(height, width, input_height, input_width):
    # yolox/data/data_augment.py, preproc
    r = min(input_height / height, input_width / width)
    return int(width * r), int(height * r), 0, 0


def ultralytics(height, width, input_height, input_width):
    # ultralytics/data/augment.py, LetterBox with center=True, auto=False, scaleup=True
    r = min(input_height / height, input_width / width)
    new_width, new_height = round(width * r), round(height * r)
    left = round((input_width - new_width) / 2 - 0.1)
    top = round((input_height - new_height) / 2 - 0.1)
    return new_width, new_height, left, top


for name, place, input_width, input_height in [
    ("YOLOX-nano", yolox, 416, 416),
    ("Ultralytics, wide", ultralytics, 640, 384),
]:
    fnv = 0xCBF29CE484222325
    for height in range(1, 4097):
        for width in range(1, 4097):
            w, h, left, top = place(height, width, input_height, input_width)
            if w == 0 or h == 0:
                # Both programs fail here; a frame keeps one pixel with us.
                if place is ultralytics:
                    left = round((input_width - max(w, 1)) / 2 - 0.1)
                    top = round((input_height - max(h, 1)) / 2 - 0.1)
                w, h = max(w, 1), max(h, 1)
            fnv = (fnv ^ (w | h << 12 | left << 24 | top << 36)) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    print(f'{name}: 0x{fnv:016x}')
