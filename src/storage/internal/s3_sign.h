#pragma once

// Signs requests to S3: AWS Signature Version 4, in the Authorization header
// (AWS, "Authenticating Requests: Using the Authorization Header").

#include <chrono>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stoker::storage::internal {

struct S3Credentials {
  std::string access_key{};
  std::string secret_key{};
  std::string session_token{};  // "" for keys that last
};

// Texts stay with whom they are from.
struct HttpHeader {
  std::string_view name;  // lower case
  std::string_view value;
};

// Names and values as they are meant, not encoded.
using QueryItems = std::vector<std::pair<std::string, std::string>>;

struct RequestToSign {
  std::string_view method;          // "GET"
  std::string_view host;            // as the Host header will have it
  std::string_view path;            // encoded, begins with '/'
  std::string_view query;           // as EncodeQuery gives it
  std::string_view payload_sha256;  // hexadecimal, or kUnsignedPayload
};

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// All but letters, digits and "-._~" as %XX; '/' as well unless `keep_slash`.
std::string EncodeUri(std::string_view text, bool keep_slash);
// Appends it to `out`.
void AppendEncodedUri(std::string& out, std::string_view text, bool keep_slash);
// "%2F" and "+" taken back; what is no escape stays as it is.
std::string DecodeUri(std::string_view text);
// "a=1&b=" with both sides encoded, in the order that is signed.
std::string EncodeQuery(const QueryItems& items);

// 64 hexadecimal digits.
std::string Sha256Hex(std::string_view data);
// As the Content-MD5 header has it, and as ETags of single objects do (32
// hexadecimal digits).
std::string Md5Base64(std::string_view data);
std::string Md5Hex(std::string_view data);
// The ETag, without quotes, of an upload whose parts have these (with quotes):
// the MD5 of their MD5s, "-" and their number. "" where they are no MD5s.
std::string ETagOfUpload(std::span<const std::string> etags);

// Belongs to one thread. Keeps the key of the day; allocates nothing once its
// texts have grown.
class S3Signer {
 public:
  // `service` is "s3" but for tests of the algorithm.
  S3Signer(S3Credentials credentials, std::string region,
           std::string service = "s3");
  ~S3Signer();
  S3Signer(S3Signer&&) noexcept;
  S3Signer& operator=(S3Signer&&) noexcept;

  // Adds what must be sent (authorization, x-amz-content-sha256, x-amz-date,
  // x-amz-security-token) to `headers`, which are signed as they are, together
  // with the host. `headers` holds none of these yet; what is added is valid
  // until the next call and as long as `request` is.
  void Sign(const RequestToSign& request,
            std::chrono::system_clock::time_point now,
            std::vector<HttpHeader>& headers);

 private:
  class Hasher;

  std::string_view KeyOf(std::string_view day);
  void SetTime(std::chrono::system_clock::time_point now);

  S3Credentials credentials_;
  std::string region_;
  std::string service_;
  std::time_t second_ = -1;  // that the next two are of
  std::string stamp_;        // "20130524T000000Z"
  std::string scope_;        // "20130524/us-east-1/s3/aws4_request"
  std::string key_day_;      // "20130524"
  std::string key_;          // 32 bytes
  std::unique_ptr<Hasher> hasher_;
  // Of the last request: what its signature is of, and the header.
  std::string canonical_, names_, to_sign_, authorization_;
};

}  // namespace stoker::storage::internal
