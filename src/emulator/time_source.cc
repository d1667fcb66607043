#include "emulator/time_source.h"

#include <cmath>
#include <random>

namespace stoker::emulator {

double TimeSource::Draw() {
  switch (model_.kind) {
    case TimeModel::Kind::kNone:
      return 0;
    case TimeModel::Kind::kConstant:
      return model_.a;
    case TimeModel::Kind::kNormal:
      return model_.a + model_.b * std::normal_distribution<double>()(random_);
    case TimeModel::Kind::kUniform:
      return model_.a + (model_.b - model_.a) * random_.Uniform();
    case TimeModel::Kind::kGamma:
      // The library's distributions want parameters above zero.
      return model_.a > 0 && model_.b > 0
                 ? std::gamma_distribution<double>(model_.a, model_.b)(random_)
                 : 0;
    case TimeModel::Kind::kExponential:
      return -model_.a * std::log1p(-random_.Uniform());
    case TimeModel::Kind::kPoisson:
      return model_.a > 0
                 ? static_cast<double>(std::poisson_distribution<std::int64_t>(
                       model_.a)(random_))
                 : 0;
  }
  return 0;
}

core::Nanos TimeSource::Next() { return core::FromSeconds(std::abs(Draw())); }

}  // namespace stoker::emulator
