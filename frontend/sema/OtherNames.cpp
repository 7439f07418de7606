#include "frontend/sema/OtherNames.h"
#include <algorithm>
#include <cctype>
#include <map>
#include <string>

using namespace bigm;

namespace {
struct Entry {
  const char *own;
  std::initializer_list<const char *> others; // in small letters, without `_`
};
// A name that differs from ours only in capitals and `_` need not be listed: ReLU is found as relu.
const Entry names[] = {
    {"resample", {"interpolate", "upsample", "upsampling2d", "imresize"}},
    {"concat", {"cat", "concatenate", "hstack", "vstack"}},
    {"transpose", {"permute", "swapaxes", "movedim", "moveaxis"}},
    {"reshape", {"view", "unsqueeze", "squeeze", "expanddims"}},
    {"broadcast", {"expand", "broadcastto", "tile"}},
    {"select", {"where", "ifelse"}},
    {"iota", {"arange", "linspace"}},
    {"random", {"rand"}},
    {"normal", {"randn", "randnlike", "gaussiannoise"}},
    {"full", {"fill", "constantlike", "fulllike"}},
    {"gather", {"take", "indexselect", "embeddinglookup"}},
    {"scatter_add", {"indexadd", "segmentsum"}},
    {"flip", {"reverse"}},
    {"size", {"len", "numel"}},
    {"rank", {"ndim"}},
    {"stop_gradient", {"detach", "nograd"}},
    {"gradient", {"grad", "backward"}},
    {"windows", {"unfold", "im2col"}},
    {"attend", {"scaleddotproductattention"}},
    {"maximum", {"fmax", "elementwisemax"}},
    {"minimum", {"fmin", "elementwisemin"}},
    {"mod", {"fmod", "remainder"}},
    {"max", {"amax", "reducemax"}},
    {"min", {"amin", "reducemin"}},
    {"sum", {"reducesum"}},
    {"mean", {"average", "reducemean"}},
    {"f32", {"float", "float32", "tofloat"}},
    {"i32", {"int32", "long"}},
    {"Linear", {"dense", "fullyconnected", "innerproduct"}},
    {"Conv2d", {"conv", "convolution", "convolution2d"}},
    {"BatchNorm", {"batchnorm1d", "batchnorm2d", "batchnorm3d", "batchnormalization"}},
    {"LayerNorm", {"layernormalization"}},
    {"RMSNorm", {"rmsnormalization"}},
    {"Attention", {"multiheadattention", "selfattention", "mha"}},
    {"max_pool", {"maxpool2d", "maxpooling2d", "maxpooling"}},
    {"avg_pool", {"avgpool2d", "averagepool", "averagepooling2d", "meanpool"}},
    {"global_avg_pool", {"adaptiveavgpool2d", "globalaveragepooling2d", "globalaveragepool"}},
    {"global_max_pool", {"adaptivemaxpool2d", "globalmaxpooling2d"}},
    {"silu", {"swish"}},
    {"hard_swish", {"hardswish"}},
    {"leaky_relu", {"lrelu"}},
    {"unit_length", {"l2norm", "l2normalize", "l2normalization"}},
    {"cross_entropy", {"crossentropyloss", "categoricalcrossentropy", "sparsecategoricalcrossentropy", "softmaxcrossentropy"}},
    {"bce_with_logits", {"bce", "bceloss", "bcewithlogitsloss", "binarycrossentropy", "binarycrossentropywithlogits", "sigmoidcrossentropy"}},
    {"nll", {"nllloss"}},
    {"mse", {"mseloss", "l2loss", "meansquarederrorloss"}},
    {"mae", {"maeloss", "l1loss"}},
    {"huber", {"huberloss", "smoothl1", "smoothl1loss"}},
    {"kl", {"kldiv", "kldivloss", "kldivergence"}},
    {"focal", {"focalloss"}},
    {"kaiming", {"heuniform", "kaiminguniform", "he"}},
    {"kaiming_normal", {"henormal"}},
    {"xavier", {"glorot", "glorotuniform", "xavieruniform"}},
    {"xavier_normal", {"glorotnormal"}},
    {"random_flip", {"randomhorizontalflip", "fliplr"}},
    {"top_k", {"topkaccuracy"}},
    {"BiLSTM", {"bidirectionallstm"}},
    {"relu", {}},
    {"relu6", {}},
    {"elu", {}},
    {"selu", {}},
    {"gelu", {}},
    {"mish", {}},
    {"softplus", {}},
    {"sigmoid", {}},
    {"tanh", {}},
    {"softmax", {}},
    {"log_softmax", {}},
    {"flatten", {}},
    {"one_hot", {}},
    {"Embedding", {}},
    {"LSTM", {}},
    {"GRU", {}},
    {"sgd", {}},
    {"adam", {}},
    {"adamw", {}},
    {"adagrad", {}},
    {"BiGRU", {"bidirectionalgru"}},
};
/// What has no name here and is written by other means.
const Entry phrases[] = {
    {"`min(max(x, low), high)`", {"clamp", "clip", "clipbyvalue"}},
    {"index notation, as in `y[n, o] = sum(i: x[n, i] * w[i, o])`", {"matmul", "mm", "bmm", "dot", "einsum", "gemm"}},
    {"one layer after the other, `x |> Linear(64) |> relu`", {"sequential", "compose"}},
    {"`repeat n { ... }`", {"modulelist"}},
    {"`mean((x - mean(x)) ^ 2)`", {"var", "variance"}},
    {"`sum(x ^ 2) ^ 0.5`", {"norm"}},
    {"`when condition { ... } else { ... }`", {"if", "elif", "elseif"}},
    {"`repeat n { ... }`, or `scan` from step to step", {"while"}},
    {"the last line of a body, which is its value", {"return"}},
    {"the layer's name alone, `Linear(64)`", {"nn", "torch", "keras", "layers"}},
};

/// Spellings differ in capitals and `_` between libraries.
std::string plain(std::string_view word) {
  std::string result;
  for (char c : word)
    if (c != '_')
      result += char(std::tolower(static_cast<unsigned char>(c)));
  return result;
}
} // namespace

OwnName bigm::ownNameOf(std::string_view word) {
  static const std::map<std::string, OwnName> table = [] {
    std::map<std::string, OwnName> table;
    for (const Entry &entry : names) {
      table.try_emplace(plain(entry.own), OwnName{entry.own, true});
      for (const char *other : entry.others)
        table.try_emplace(other, OwnName{entry.own, true});
    }
    for (const Entry &entry : phrases)
      for (const char *other : entry.others)
        table.try_emplace(other, OwnName{entry.own, false});
    return table;
  }();
  auto found = table.find(plain(word));
  return found == table.end() || found->second.text == word ? OwnName{} : found->second;
}

std::string_view bigm::ownTypeOf(std::string_view word) {
  static const std::map<std::string_view, std::string_view> table = {
      {"float", "f32"}, {"float32", "f32"}, {"double", "f64"}, {"float64", "f64"}, {"half", "f16"}, {"int32", "i32"}, {"long", "i64"},
      {"int64", "i64"}, {"uint8", "u8"}, {"byte", "u8"}, {"string", "text"}, {"str", "text"}, {"category", "label[10]"}, {"class", "label[10]"},
      {"Tensor", "f32[N, 16]"}, {"tensor", "f32[N, 16]"}, {"boolean", "bool"}, {"picture", "image"}};
  auto found = table.find(word);
  return found == table.end() ? std::string_view() : found->second;
}
