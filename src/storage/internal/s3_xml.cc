#include "storage/internal/s3_xml.h"

#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>

#include "core/text.h"
#include "storage/internal/s3_sign.h"

namespace stoker::storage::internal {

namespace {

// The root element `name`; an empty node if `text` has none.
pugi::xml_node Root(pugi::xml_document& document, std::string_view text,
                    const char* name) {
  if (!document.load_buffer(text.data(), text.size())) {
    return {};
  }
  return document.child(name);
}

core::Status NoDocument(const char* name, std::string_view text) {
  constexpr std::size_t kShown = 120;
  return {core::Code::kCorruption,
          fmt::format("expected an XML document <{}>, got '{}'", name,
                      text.substr(0, kShown))};
}

std::string Decoded(const pugi::xml_node& node, const char* name) {
  return DecodeUri(node.child_value(name));
}

S3Error ErrorOf(const pugi::xml_node& node) {
  return {.code = node.child_value("Code"),
          .message = node.child_value("Message"),
          .region = node.child_value("Region")};
}

std::string Text(const pugi::xml_document& document) {
  std::ostringstream out;
  document.save(out, "", pugi::format_raw | pugi::format_no_declaration);
  return out.str();
}

}  // namespace

S3Error ParseS3Error(std::string_view text) {
  pugi::xml_document document;
  return ErrorOf(Root(document, text, "Error"));
}

core::Result<S3ListPage> ParseListPage(std::string_view text) {
  pugi::xml_document document;
  const pugi::xml_node root = Root(document, text, "ListBucketResult");
  if (!root) {
    return NoDocument("ListBucketResult", text);
  }
  S3ListPage page;
  for (const pugi::xml_node& node : root.children("Contents")) {
    const core::Result<std::int64_t> size =
        core::ParseInt(node.child_value("Size"));
    if (!size.ok() || size.value() < 0) {
      return NoDocument("ListBucketResult with sizes", text);
    }
    page.objects.push_back({.key = Decoded(node, "Key"),
                            .size = static_cast<std::uint64_t>(size.value())});
  }
  if (root.child("IsTruncated").text().as_bool()) {
    page.next_token = root.child_value("NextContinuationToken");
    if (page.next_token.empty()) {
      return NoDocument("ListBucketResult with a continuation token", text);
    }
  }
  return page;
}

core::Result<S3UploadPage> ParseUploadPage(std::string_view text) {
  pugi::xml_document document;
  const pugi::xml_node root =
      Root(document, text, "ListMultipartUploadsResult");
  if (!root) {
    return NoDocument("ListMultipartUploadsResult", text);
  }
  S3UploadPage page;
  for (const pugi::xml_node& node : root.children("Upload")) {
    page.uploads.push_back({.key = Decoded(node, "Key"),
                            .id = node.child_value("UploadId"),
                            .initiated = node.child_value("Initiated")});
  }
  if (root.child("IsTruncated").text().as_bool()) {
    page.next_key = Decoded(root, "NextKeyMarker");
    page.next_id = root.child_value("NextUploadIdMarker");
  }
  return page;
}

core::Result<std::string> ParseUploadId(std::string_view text) {
  pugi::xml_document document;
  const pugi::xml_node root =
      Root(document, text, "InitiateMultipartUploadResult");
  std::string id = root.child_value("UploadId");
  if (id.empty()) {
    return NoDocument("InitiateMultipartUploadResult with an UploadId", text);
  }
  return id;
}

core::Result<std::vector<S3NotDeleted>> ParseDeleteResult(
    std::string_view text) {
  pugi::xml_document document;
  const pugi::xml_node root = Root(document, text, "DeleteResult");
  if (!root) {
    return NoDocument("DeleteResult", text);
  }
  std::vector<S3NotDeleted> left;
  for (const pugi::xml_node& node : root.children("Error")) {
    left.push_back({.key = node.child_value("Key"), .error = ErrorOf(node)});
  }
  return left;
}

std::string CompleteUploadBody(std::span<const std::string> etags) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("CompleteMultipartUpload");
  for (std::size_t i = 0; i < etags.size(); ++i) {
    pugi::xml_node part = root.append_child("Part");
    part.append_child("PartNumber")
        .text()
        .set(static_cast<unsigned long long>(i + 1));
    part.append_child("ETag").text().set(etags[i].c_str());
  }
  return Text(document);
}

std::string DeleteObjectsBody(std::span<const std::string> keys) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("Delete");
  root.append_child("Quiet").text().set(true);
  for (const std::string& key : keys) {
    root.append_child("Object").append_child("Key").text().set(key.c_str());
  }
  return Text(document);
}

}  // namespace stoker::storage::internal
