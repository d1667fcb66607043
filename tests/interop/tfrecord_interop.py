"""tfrecord files against an independent writer and reader of the format."""

import os
import struct
import sys
import tempfile
import unittest

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import format_tool

# (file, rows, columns, samples, edge)
SPECS = [
    (0, 1, 1, 1, 1),
    (1, 3, 7, 5, 4),
    (2, 16, 8, 2, 11),
    (3, 100, 128, 3, 113),
    (4, 129, 128, 2, 128),
    (5, 338, 338, 1, 338),
]


def crc_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = crc_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def example_class():
    """tf.train.Example, described here and not by our .proto file."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="independent_example.proto", package="independent",
        syntax="proto3")

    def add(parent, name, fields):
        message = parent.add(name=name)
        for number, (label, kind, text, type_name) in fields.items():
            message.field.add(name=text, number=number, label=label, type=kind,
                              type_name=type_name)
        return message

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    add(file.message_type, "BytesList",
        {1: (many, field.TYPE_BYTES, "value", None)})
    add(file.message_type, "Int64List",
        {1: (many, field.TYPE_INT64, "value", None)})
    add(file.message_type, "Feature", {
        1: (one, field.TYPE_MESSAGE, "bytes_list", ".independent.BytesList"),
        3: (one, field.TYPE_MESSAGE, "int64_list", ".independent.Int64List")})
    features = add(file.message_type, "Features", {
        1: (many, field.TYPE_MESSAGE, "feature",
            ".independent.Features.FeatureEntry")})
    entry = add(features.nested_type, "FeatureEntry", {
        1: (one, field.TYPE_STRING, "key", None),
        2: (one, field.TYPE_MESSAGE, "value", ".independent.Feature")})
    entry.options.map_entry = True
    add(file.message_type, "Example", {
        1: (one, field.TYPE_MESSAGE, "features", ".independent.Features")})
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(
        pool.FindMessageTypeByName("independent.Example"))


EXAMPLE = example_class()


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(image, edge, size_first=False):
    entries = [
        field(1, b"image") + field(2, field(1, field(1, image))),
        field(1, b"size") + field(2, field(3, field(1, varint(edge))))]
    if size_first:
        entries.reverse()
    return field(1, b"".join(field(1, entry) for entry in entries))


def frame(message):
    length = struct.pack("<Q", len(message))
    return (length + struct.pack("<I", masked_crc(length)) + message +
            struct.pack("<I", masked_crc(message)))


def records(data):
    """(offset, message) of every record, checksums verified."""
    at = 0
    while at < len(data):
        length, length_crc = struct.unpack_from("<QI", data, at)
        assert masked_crc(data[at:at + 8]) == length_crc
        message = data[at + 12:at + 12 + length]
        (crc,) = struct.unpack_from("<I", data, at + 12 + length)
        assert masked_crc(message) == crc
        yield at, message
        at += 16 + length


def image_of(spec, sample):
    return format_tool.pattern(spec[0], sample, spec[1] * spec[2]).tobytes()


class TfrecordInterop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = os.path.join(holder.name, "file.tfrecord")

    def encoded(self, spec):
        format_tool.run("encode", "tfrecord", self.path, *spec)
        with open(self.path, "rb") as file:
            return file.read()

    def write(self, spec, size_first=False):
        with open(self.path, "wb") as file:
            for sample in range(spec[3]):
                file.write(frame(example(image_of(spec, sample), spec[4],
                                         size_first)))

    def test_checksum_vectors(self):
        # RFC 3720, B.4: 32 bytes of zeros.
        crc = masked_crc(bytes(32)) - 0xA282EAD8 & 0xFFFFFFFF
        self.assertEqual((crc << 15 | crc >> 17) & 0xFFFFFFFF, 0x8A9136AA)

    def test_protobuf_reads_ours(self):
        for spec in SPECS:
            found = list(records(self.encoded(spec)))
            self.assertEqual(len(found), spec[3])
            for sample, (_, message) in enumerate(found):
                parsed = EXAMPLE.FromString(message)
                feature = parsed.features.feature
                self.assertEqual(sorted(feature), ["image", "size"])
                self.assertEqual(list(feature["image"].bytes_list.value),
                                 [image_of(spec, sample)])
                self.assertEqual(list(feature["size"].int64_list.value),
                                 [spec[4]])

    def test_files_equal_the_other_writers(self):
        for spec in SPECS:
            ours = self.encoded(spec)
            self.write(spec)
            with open(self.path, "rb") as theirs:
                self.assertEqual(ours, theirs.read(), spec)

    def test_index_lists_offset_and_size(self):
        spec = SPECS[1]
        data = self.encoded(spec)
        lines = [f"{at} {len(message) + 16}\n"
                 for at, message in records(data)]
        self.assertEqual(format_tool.run("index", *spec[1:]), "".join(lines))

    def test_foreign_files_are_read_in_both_orders_and_styles(self):
        for spec in SPECS:
            for size_first in (False, True):
                self.write(spec, size_first)
                for style, request in (("large", 0), ("large", 100),
                                       ("reference", 1000),
                                       ("reference", 262144)):
                    _, samples = format_tool.read(
                        "tfrecord", self.path, spec, style, request=request)
                    self.assertEqual(samples, [spec[1] * spec[2]] * spec[3])
                _, samples = format_tool.read(
                    "tfrecord", self.path, spec, "sample", request=100,
                    sample=spec[3] - 1)
                self.assertEqual(samples, [spec[1] * spec[2]])

    def test_messages_serialized_by_protobuf_are_read(self):
        spec = SPECS[3]
        with open(self.path, "wb") as file:
            for sample in range(spec[3]):
                message = EXAMPLE()
                feature = message.features.feature
                feature["size"].int64_list.value.append(spec[4])
                feature["image"].bytes_list.value.append(
                    image_of(spec, sample))
                file.write(frame(message.SerializeToString()))
        _, samples = format_tool.read("tfrecord", self.path, spec)
        self.assertEqual(samples, [spec[1] * spec[2]] * spec[3])


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
