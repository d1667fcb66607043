#include "run/internal/admission.h"

#include <fmt/format.h>

#include <string>

#include "cache/cache_options.h"
#include "storage/registry.h"

namespace stoker::run::internal {

namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return lower;
}

rules::Division DivisionOf(Division division) {
  switch (division) {
    case Division::kClosed:
      return rules::Division::kClosed;
    case Division::kOpen:
      return rules::Division::kOpen;
    case Division::kNone:
      break;
  }
  return rules::Division::kNone;
}

std::string DescribeFindings(const rules::Judgement& judgement) {
  std::string text;
  for (const rules::Finding& finding : judgement.findings) {
    if (finding.level != rules::Verdict::kClosed) {
      text += fmt::format("{}  {} ({}): expected {}, is {}; {}",
                          text.empty() ? "" : "\n", finding.rule,
                          rules::VerdictName(finding.level), finding.expected,
                          finding.actual, finding.remedy);
    }
  }
  return text;
}

}  // namespace

Admission AdmissionOf(const rules::Judgement& judgement, Division division,
                      bool allow_invalid) {
  Admission admission;
  const std::string_view verdict = rules::VerdictName(judgement.verdict);
  admission.verification = Lower(verdict);
  if (judgement.verdict != rules::Verdict::kClosed) {
    admission.summary =
        fmt::format("rules: this run is {}{}, not CLOSED (--verbose says why)",
                    judgement.what_if ? "what-if and " : "", verdict);
    admission.findings = DescribeFindings(judgement);
  }
  admission.status =
      rules::Admit(judgement, DivisionOf(division), allow_invalid);
  return admission;
}

bool IsRealStorage(std::string_view uri) {
  if (uri.empty()) {
    return true;
  }
  const core::Result<storage::Uri> parsed = storage::ParseUri(uri);
  const std::string_view scheme =
      parsed.ok() ? std::string_view(parsed.value().scheme) : "";
  return scheme == "file" || scheme == "direct" || scheme == "mmap" ||
         scheme == "s3";
}

bool Foresees(std::string_view uri) {
  std::string rest(uri);
  while (!rest.empty()) {
    const core::Result<storage::Uri> parsed = storage::ParseUri(rest);
    if (!parsed.ok()) {
      return false;
    }
    const auto policy = parsed.value().options.find("policy");
    if (parsed.value().scheme == "cache" &&
        policy != parsed.value().options.end() &&
        policy->second == cache::PolicyName(cache::Policy::kBelady)) {
      return true;
    }
    rest = parsed.value().inner;
  }
  return false;
}

}  // namespace stoker::run::internal
