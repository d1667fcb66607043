#include "storage/internal/s3_sign.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <iterator>

#include "core/check.h"

namespace stoker::storage::internal {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

const unsigned char* Raw(std::string_view text) {
  return std::bit_cast<const unsigned char*>(text.data());
}

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits[value >> 4U];
    text += kDigits[value & 15U];
  }
  return text;
}

std::string HmacSha256(std::string_view key, std::string_view data) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  const unsigned char* const made = ::HMAC(
      ::EVP_sha256(), key.data(), static_cast<int>(key.size()), Raw(data),
      data.size(), std::bit_cast<unsigned char*>(out.data()), nullptr);
  STOKER_CHECK(made != nullptr);
  return out;
}

std::string Md5(std::string_view data) {
  std::string digest(16, '\0');
  unsigned int bytes = 0;
  STOKER_CHECK(::EVP_Digest(data.data(), data.size(),
                            std::bit_cast<unsigned char*>(digest.data()),
                            &bytes, ::EVP_md5(), nullptr) == 1);
  return digest;
}

bool IsUnreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string_view Trimmed(std::string_view value) {
  const std::size_t first = value.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return "";
  }
  return value.substr(first, value.find_last_not_of(" \t") + 1 - first);
}

}  // namespace

std::string EncodeUri(std::string_view text, bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + 8);
  for (const char c : text) {
    if (IsUnreserved(c) || (c == '/' && keep_slash)) {
      out += c;
    } else {
      const auto value = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[value >> 4U];
      out += kDigits[value & 15U];
    }
  }
  return out;
}

std::string DecodeUri(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool escape = text[at] == '%' && at + 2 < text.size() &&
                        HexValue(text[at + 1]) >= 0 &&
                        HexValue(text[at + 2]) >= 0;
    if (escape) {
      out += static_cast<char>(HexValue(text[at + 1]) * 16 +
                               HexValue(text[at + 2]));
      at += 2;
    } else {
      out += text[at] == '+' ? ' ' : text[at];
    }
  }
  return out;
}

std::string EncodeQuery(const QueryItems& items) {
  std::vector<std::string> encoded;
  encoded.reserve(items.size());
  for (const auto& [name, value] : items) {
    encoded.push_back(EncodeUri(name, false) + "=" + EncodeUri(value, false));
  }
  std::ranges::sort(encoded);
  return fmt::format("{}", fmt::join(encoded, "&"));
}

std::string Sha256Hex(std::string_view data) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  ::SHA256(Raw(data), data.size(),
           std::bit_cast<unsigned char*>(digest.data()));
  return Hex(digest);
}

std::string Md5Base64(std::string_view data) {
  const std::string digest = Md5(data);
  std::array<unsigned char, 64> text{};
  const int length = ::EVP_EncodeBlock(text.data(), Raw(digest),
                                       static_cast<int>(digest.size()));
  return {text.begin(), text.begin() + length};
}

std::string Md5Hex(std::string_view data) { return Hex(Md5(data)); }

std::string ETagOfUpload(std::span<const std::string> etags) {
  constexpr std::size_t kDigits = 32;
  std::string digests;
  for (const std::string_view etag : etags) {
    const std::size_t quote = etag.starts_with('"') ? 1 : 0;
    const std::string_view text = etag.substr(quote, etag.size() - 2 * quote);
    if (text.size() != kDigits) {
      return "";
    }
    for (std::size_t at = 0; at < kDigits; at += 2) {
      const int high = HexValue(text[at]);
      const int low = HexValue(text[at + 1]);
      if (high < 0 || low < 0) {
        return "";
      }
      digests += static_cast<char>(high * 16 + low);
    }
  }
  return fmt::format("{}-{}", Md5Hex(digests), etags.size());
}

S3Signer::S3Signer(S3Credentials credentials, std::string region,
                   std::string service)
    : credentials_(std::move(credentials)),
      region_(std::move(region)),
      service_(std::move(service)) {}

std::string_view S3Signer::KeyOf(std::string_view day) {
  if (key_day_ != day) {
    key_ = HmacSha256("AWS4" + credentials_.secret_key, day);
    key_ = HmacSha256(key_, region_);
    key_ = HmacSha256(key_, service_);
    key_ = HmacSha256(key_, "aws4_request");
    key_day_ = day;
  }
  return key_;
}

void S3Signer::SetTime(std::chrono::system_clock::time_point now) {
  const std::time_t second = std::chrono::system_clock::to_time_t(now);
  if (second != second_) {
    stamp_ = fmt::format("{:%Y%m%dT%H%M%S}Z", fmt::gmtime(second));
    scope_ =
        fmt::format("{}/{}/{}/aws4_request",
                    std::string_view(stamp_).substr(0, 8), region_, service_);
    second_ = second;
  }
}

void S3Signer::Sign(const RequestToSign& request,
                    std::chrono::system_clock::time_point now,
                    std::vector<HttpHeader>& headers) {
  SetTime(now);
  headers.push_back(
      {"x-amz-content-sha256", std::string(request.payload_sha256)});
  headers.push_back({"x-amz-date", stamp_});
  if (!credentials_.session_token.empty()) {
    headers.push_back({"x-amz-security-token", credentials_.session_token});
  }
  headers.push_back({"host", std::string(request.host)});
  std::ranges::sort(headers, {}, &HttpHeader::name);

  std::string canonical =
      fmt::format("{}\n{}\n{}\n", request.method, request.path, request.query);
  std::string names;
  for (const HttpHeader& header : headers) {
    fmt::format_to(std::back_inserter(canonical), "{}:{}\n", header.name,
                   Trimmed(header.value));
    names += names.empty() ? "" : ";";
    names += header.name;
  }
  fmt::format_to(std::back_inserter(canonical), "\n{}\n{}", names,
                 request.payload_sha256);

  const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, stamp_,
                                          scope_, Sha256Hex(canonical));
  const std::string signature =
      Hex(HmacSha256(KeyOf(std::string_view(stamp_).substr(0, 8)), to_sign));
  std::erase_if(headers,
                [](const HttpHeader& one) { return one.name == "host"; });
  headers.push_back(
      {"authorization",
       fmt::format("{} Credential={}/{},SignedHeaders={},Signature={}",
                   kAlgorithm, credentials_.access_key, scope_, names,
                   signature)});
}

}  // namespace stoker::storage::internal
