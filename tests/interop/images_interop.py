"""jpeg and png files against Pillow: as a decoder and as a reader."""

import io
import os
import struct
import sys
import tempfile
import unittest
import warnings
import zlib

import numpy as np
from PIL import Image

import format_tool

# (file, rows, columns, samples, edge, record bytes)
SPECS = [
    (1, 568, 568, 1, 568, 322957),
    (2, 401, 302, 1, 350, 401 * 302),
    (3, 100, 101, 1, 100, 10100),
    (4, 64, 64, 1, 64, 300000),
    (5, 33, 1000, 1, 181, 33 * 1000),
]


UNITS = (512, 4096, 65536, 1 << 20)  # of the file object's buffer, bytes


def content(path):
    with open(path, "rb") as file:
        return file.read()


def trace_pillow(jobs):
    """What Pillow's open and load read of each (path, buffer size):
    [(position, asked, got), ...] per job."""
    return format_tool.trace(
        "import sys\n"
        "from PIL import Image, JpegImagePlugin, PngImagePlugin\n"
        "for path, unit in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    with open(path, 'rb', buffering=int(unit)) as file:\n"
        "        Image.open(file).load()\n",
        format_tool.flat(jobs), [path for path, _ in jobs])


class ImagesInterop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)

    def encoded(self, fmt, spec):
        path = os.path.join(self.folder, f"{spec[0]}.{fmt}")
        format_tool.run("encode", fmt, path, *spec)
        return path

    def test_pillow_decodes_ours_to_their_shape_without_a_warning(self):
        for fmt in ("jpeg", "png"):
            for spec in SPECS:
                path = self.encoded(fmt, spec)
                self.assertEqual(os.path.getsize(path), spec[5])
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    with Image.open(path) as image:
                        image.load()
                        self.assertEqual(image.mode, "L")
                        self.assertEqual(image.size, (spec[2], spec[1]))
                        self.assertEqual(image.format, fmt.upper())

    def test_jpeg_pixels_are_the_payload_as_far_as_jpeg_keeps_them(self):
        for spec in SPECS:
            pixels = np.asarray(Image.open(self.encoded("jpeg", spec)))
            wanted = format_tool.pattern(spec[0], 0, spec[1] * spec[2])
            buffer = io.BytesIO()
            Image.fromarray(wanted.reshape(spec[1], spec[2])).save(
                buffer, "jpeg", quality=75)
            if len(buffer.getvalue()) + 32 <= spec[5]:
                theirs = np.asarray(Image.open(buffer))
                np.testing.assert_array_equal(pixels, theirs)

    def test_png_pixels_are_the_payload(self):
        # Of the rows' bytes the first of each is the filter's number.
        for spec in SPECS:
            path = self.encoded("png", spec)
            data = content(path)
            columns, rows, depth = struct.unpack(">IIB", data[16:25])
            row = 1 + (columns * depth + 7) // 8
            raw = format_tool.pattern(spec[0], 0, rows * row)
            bits = np.unpackbits(raw.reshape(rows, row)[:, 1:], axis=1)
            groups = bits[:, :columns * depth].reshape(rows, columns, depth)
            values = groups.dot(1 << np.arange(depth - 1, -1, -1))
            pixels = np.asarray(Image.open(path)).astype(int)
            np.testing.assert_array_equal(
                pixels, values * (255 // ((1 << depth) - 1)))

    def test_every_png_chunk_has_its_checksum(self):
        for spec in SPECS:
            data = content(self.encoded("png", spec))
            at, names = 8, []
            while at < len(data):
                (length,) = struct.unpack_from(">I", data, at)
                body = data[at + 4:at + 8 + length]
                (crc,) = struct.unpack_from(">I", data, at + 8 + length)
                self.assertEqual(crc, zlib.crc32(body))
                names.append(body[:4])
                at += 12 + length
            self.assertEqual(names[:3], [b"IHDR", b"stKr", b"IDAT"])
            self.assertEqual(names[-1], b"IEND")

    def test_files_of_pillow_are_read(self):
        for fmt, options in (("jpeg", {}), ("jpeg", {"progressive": True}),
                             ("jpeg", {"comment": b"x" * 9000}), ("png", {}),
                             ("png", {"optimize": True})):
            spec = (9, 300, 200, 1, 244, 60000)
            path = os.path.join(self.folder, f"foreign.{fmt}")
            noise = format_tool.pattern(1, 0, 3 * 60000)
            Image.fromarray(noise.reshape(300, 200, 3)).save(path, **options)
            for style in ("reference", "large"):
                _, samples = format_tool.read(fmt, path, spec, style,
                                              request=5000, expect=False)
                self.assertEqual(samples, [60000])

    def test_reads_are_pillows_read_for_read(self):
        jobs, expected_of = [], []
        files = [("own", fmt, spec) for fmt in ("jpeg", "png")
                 for spec in SPECS]
        for length in (65536, 131072, 131073, 196607):
            files.append(("own", "jpeg", (length, 300, 300, 1, 300, length)))
            files.append(("own", "png", (length, 300, 300, 1, 300, length)))
        # Pillow's own: its png has chunks of 64 KiB.
        for fmt in ("jpeg", "png"):
            files.append(("theirs", fmt, (10, 500, 700, 1, 591, 350000)))
        for origin, fmt, spec in files:
            if origin == "own":
                path = self.encoded(fmt, spec)
            else:
                path = os.path.join(self.folder, f"theirs.{fmt}")
                Image.fromarray(format_tool.pattern(3, 0, spec[5]).reshape(
                    spec[1], spec[2])).save(path)
            for unit in UNITS:
                jobs.append((path, unit))
                expected_of.append((origin, fmt, spec))
        traces = trace_pillow(jobs)
        self.assertEqual(len(traces), len(jobs))
        for (path, unit), (origin, fmt, spec), trace in zip(
                jobs, expected_of, traces):
            ours, _ = format_tool.read(fmt, path, spec, unit=unit,
                                       expect=origin == "own")
            if origin == "own" and fmt == "jpeg":
                # Pillow stops behind the image; ours reads on to the file's
                # end, as if the image filled it.
                self.assertEqual(ours[:len(trace)], trace, (path, unit, spec))
                self.assertGreaterEqual(sum(read[2] for read in ours), spec[5])
            else:
                self.assertEqual(ours, trace, (path, unit, spec))


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
