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

void AppendHex(std::string& out, std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    out += kDigits[value >> 4U];
    out += kDigits[value & 15U];
  }
}

std::string Hex(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  AppendHex(text, bytes);
  return text;
}

template <typename... Texts>
void Append(std::string& out, const Texts&... texts) {
  (out.append(texts), ...);
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

void AppendEncodedUri(std::string& out, std::string_view text,
                      bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
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
}

std::string EncodeUri(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size() + 8);
  AppendEncodedUri(out, text, keep_slash);
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

// SHA-256 without libcrypto's search for who computes it, which takes longer
// than the sums of short texts: begun anew, a context keeps what was found.
class S3Signer::Hasher {
 public:
  Hasher() : context_(::EVP_MD_CTX_new()) {
    STOKER_CHECK(context_ != nullptr &&
                 ::EVP_DigestInit_ex(context_, ::EVP_sha256(), nullptr) == 1);
  }
  ~Hasher() { ::EVP_MD_CTX_free(context_); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  // Each valid until the next call.
  std::string_view Sum(std::string_view first, std::string_view second = {}) {
    STOKER_CHECK(::EVP_DigestInit_ex(context_, nullptr, nullptr) == 1 &&
                 ::EVP_DigestUpdate(context_, first.data(), first.size()) == 1);
    if (!second.empty()) {
      STOKER_CHECK(::EVP_DigestUpdate(context_, second.data(), second.size()) ==
                   1);
    }
    STOKER_CHECK(::EVP_DigestFinal_ex(context_, sum_.data(), nullptr) == 1);
    return {std::bit_cast<const char*>(sum_.data()), sum_.size()};
  }

  // HMAC (RFC 2104); `key`: at most 64 bytes.
  std::string_view Hmac(std::string_view key, std::string_view data) {
    std::array<char, kBlock> inner{};
    std::array<char, kBlock> outer{};
    STOKER_CHECK(key.size() <= kBlock);
    std::ranges::copy(key, inner.begin());
    for (std::size_t i = 0; i < kBlock; ++i) {
      outer[i] = static_cast<char>(inner[i] ^ 0x5C);
      inner[i] = static_cast<char>(inner[i] ^ 0x36);
    }
    std::array<char, SHA256_DIGEST_LENGTH> middle{};
    std::ranges::copy(Sum({inner.data(), inner.size()}, data), middle.begin());
    return Sum({outer.data(), outer.size()}, {middle.data(), middle.size()});
  }

 private:
  static constexpr std::size_t kBlock = 64;
  EVP_MD_CTX* context_;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> sum_{};
};

S3Signer::S3Signer(S3Credentials credentials, std::string region,
                   std::string service)
    : credentials_(std::move(credentials)),
      region_(std::move(region)),
      service_(std::move(service)),
      hasher_(std::make_unique<Hasher>()) {}

S3Signer::~S3Signer() = default;
S3Signer::S3Signer(S3Signer&&) noexcept = default;
S3Signer& S3Signer::operator=(S3Signer&&) noexcept = default;

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
  headers.push_back({"x-amz-content-sha256", request.payload_sha256});
  headers.push_back({"x-amz-date", stamp_});
  if (!credentials_.session_token.empty()) {
    headers.push_back({"x-amz-security-token", credentials_.session_token});
  }
  headers.push_back({"host", request.host});
  std::ranges::sort(headers, {}, &HttpHeader::name);

  canonical_.clear();
  names_.clear();
  Append(canonical_, request.method, "\n", request.path, "\n", request.query,
         "\n");
  for (const HttpHeader& header : headers) {
    Append(canonical_, header.name, ":", Trimmed(header.value), "\n");
    Append(names_, names_.empty() ? "" : ";", header.name);
  }
  Append(canonical_, "\n", names_, "\n", request.payload_sha256);

  to_sign_.clear();
  Append(to_sign_, kAlgorithm, "\n", stamp_, "\n", scope_, "\n");
  AppendHex(to_sign_, hasher_->Sum(canonical_));
  authorization_.clear();
  Append(authorization_, kAlgorithm, " Credential=", credentials_.access_key,
         "/", scope_, ",SignedHeaders=", names_, ",Signature=");
  const std::string_view key = KeyOf(std::string_view(stamp_).substr(0, 8));
  AppendHex(authorization_, hasher_->Hmac(key, to_sign_));
  std::erase_if(headers,
                [](const HttpHeader& one) { return one.name == "host"; });
  headers.push_back({"authorization", authorization_});
}

}  // namespace stoker::storage::internal
