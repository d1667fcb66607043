#pragma once

// What an S3 server does with a bucket, as far as our back end asks for it: the
// script of an HttpStub. Signatures are not looked at; a real server does that
// in the integration tests.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "storage/internal/s3_sign.h"
#include "tests/support/http_stub.h"

namespace stoker::testing {

// Called by one thread at a time, as HttpStub does.
class FakeBucket {
 public:
  using Request = HttpStubRequest;
  using Reply = HttpStubReply;

  // Looks at each request first; an answer of its own counts.
  std::function<std::optional<Reply>(const Request&)> fault;
  std::map<std::string, std::string> objects;  // by key
  std::vector<Request> requests;               // all of them
  std::map<std::string, std::string> uploads;  // id -> key
  std::size_t page = 1000;                     // keys of a list's page

  static std::string ETag(const std::string& content) {
    return fmt::format("\"{}\"", storage::internal::Md5Hex(content));
  }

  Reply Answer(const Request& request) {
    requests.push_back(request);
    if (fault) {
      if (std::optional<Reply> reply = fault(request)) {
        return *std::move(reply);
      }
    }
    Parse(request.target);
    if (key_.empty()) {
      return OfBucket(request);
    }
    if (request.method == "GET" || request.method == "HEAD") {
      return Get(request);
    }
    if (request.method == "PUT") {
      return Put(request);
    }
    return request.method == "POST" ? Post(request) : Delete();
  }

  std::size_t Count(std::string_view method, std::string_view part) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(requests, [&](const Request& request) {
          return request.method == method &&
                 request.target.find(part) != std::string::npos;
        }));
  }

  static Reply Error(int status, std::string_view code) {
    return {.status = status,
            .body = fmt::format("<Error><Code>{}</Code></Error>", code)};
  }

 private:
  void Parse(std::string_view target) {
    const std::size_t question = target.find('?');
    std::string_view path = target.substr(1, question - 1);
    const std::size_t slash = path.find('/');
    key_ = slash == std::string_view::npos
               ? ""
               : storage::internal::DecodeUri(path.substr(slash + 1));
    query_.clear();
    if (question == std::string_view::npos) {
      return;
    }
    for (const std::string_view item :
         core::Split(target.substr(question + 1), '&')) {
      const std::size_t equals = item.find('=');
      query_[std::string(item.substr(0, equals))] =
          storage::internal::DecodeUri(item.substr(equals + 1));
    }
  }

  Reply OfBucket(const Request& request) {
    if (query_.contains("delete")) {
      std::string_view left = request.body;
      while (left.find("<Key>") != std::string_view::npos) {
        left.remove_prefix(left.find("<Key>") + 5);
        objects.erase(std::string(left.substr(0, left.find('<'))));
      }
      return {.body = "<DeleteResult/>"};
    }
    if (query_.contains("uploads")) {
      std::string body = "<ListMultipartUploadsResult>";
      for (const auto& [id, key] : uploads) {
        body += fmt::format(
            "<Upload><Key>{}</Key><UploadId>{}</UploadId>"
            "<Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>",
            key, id);
      }
      return {.body = body + "</ListMultipartUploadsResult>"};
    }
    return ListPage();
  }

  Reply ListPage() {
    const std::string after = query_["continuation-token"];
    const std::string prefix = query_["prefix"];
    std::string body;
    std::string last;
    std::size_t count = 0;
    bool more = false;
    for (const auto& [key, content] : objects) {
      if (!key.starts_with(prefix) || key <= after) {
        continue;
      }
      if (count == page) {
        more = true;
        break;
      }
      body +=
          fmt::format("<Contents><Key>{}</Key><Size>{}</Size></Contents>",
                      storage::internal::EncodeUri(key, true), content.size());
      last = key;
      ++count;
    }
    return {.body = fmt::format(
                "<ListBucketResult><IsTruncated>{}</IsTruncated>"
                "<NextContinuationToken>{}</NextContinuationToken>{}"
                "</ListBucketResult>",
                more, more ? last : "", body)};
  }

  Reply Get(const Request& request) {
    const auto found = objects.find(key_);
    if (found == objects.end()) {
      return Error(404, "NoSuchKey");
    }
    const std::string& content = found->second;
    const auto uploaded = etags_.find(key_);
    Reply reply{
        .headers = {"ETag: " + (uploaded == etags_.end() ? ETag(content)
                                                         : uploaded->second)},
        .body = content};
    const auto range = request.headers.find("range");
    if (range == request.headers.end()) {
      return reply;
    }
    const std::string& text = range->second;  // "bytes=0-99"
    const std::size_t dash = text.find('-');
    const std::uint64_t first = std::stoull(text.substr(6, dash - 6));
    const std::uint64_t last = std::min<std::uint64_t>(
        std::stoull(text.substr(dash + 1)), content.size() - 1);
    if (first >= content.size()) {
      return Error(416, "InvalidRange");
    }
    reply.status = 206;
    reply.body = content.substr(first, last - first + 1);
    reply.headers.push_back(fmt::format("Content-Range: bytes {}-{}/{}", first,
                                        last, content.size()));
    return reply;
  }

  Reply Put(const Request& request) {
    const auto source = request.headers.find("x-amz-copy-source");
    if (source != request.headers.end()) {
      const std::string path =
          storage::internal::DecodeUri(source->second.substr(1));
      objects[key_] = objects.at(path.substr(path.find('/') + 1));
      return {.body = "<CopyObjectResult/>"};
    }
    if (query_.contains("partNumber")) {
      parts_[query_["uploadId"]][std::stoi(query_["partNumber"])] =
          request.body;
    } else {
      objects[key_] = request.body;
      etags_.erase(key_);
    }
    return {.headers = {"ETag: " + ETag(request.body)}};
  }

  Reply Post(const Request& request) {
    if (query_.contains("uploads")) {
      const std::string id = fmt::format("upload{}", next_upload_++);
      uploads[id] = key_;
      return {.body = fmt::format("<InitiateMultipartUploadResult><UploadId>{}"
                                  "</UploadId></InitiateMultipartUploadResult>",
                                  id)};
    }
    const std::string id = query_["uploadId"];
    if (!uploads.contains(id)) {
      return Error(404, "NoSuchUpload");
    }
    std::string content;
    std::vector<std::string> etags;
    for (const auto& [number, part] : parts_[id]) {
      if (request.body.find(fmt::format("<PartNumber>{}<", number)) ==
          std::string::npos) {
        return Error(400, "InvalidPart");
      }
      if (number != parts_[id].rbegin()->first && part.size() < (5U << 20)) {
        return Error(400, "EntityTooSmall");
      }
      content += part;
      etags.push_back(ETag(part));
    }
    objects[key_] = content;
    etags_[key_] = storage::internal::ETagOfUpload(etags);
    uploads.erase(id);
    return {.body = "<CompleteMultipartUploadResult/>"};
  }

  Reply Delete() {
    if (query_.contains("uploadId")) {
      uploads.erase(query_["uploadId"]);
    } else {
      objects.erase(key_);
    }
    return {.status = 204};
  }

  std::string key_;
  std::map<std::string, std::string> query_;
  std::map<std::string, std::map<int, std::string>> parts_;  // by upload
  std::map<std::string, std::string> etags_;  // of uploaded objects
  int next_upload_ = 1;
};

}  // namespace stoker::testing
