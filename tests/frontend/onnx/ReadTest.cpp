// Files as they should not be: each gives one error that says what is wrong. Messages are built with the schema's own
// classes, then broken.
#define ONNX_ML 1
#define ONNX_NAMESPACE onnx
#include "frontend/onnx/Onnx.h"
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

using namespace bigm::onnx;
using testing::HasSubstr;

namespace {

/// y = x + w, w f32[2].
::onnx::ModelProto sum() {
  ::onnx::ModelProto m;
  m.set_ir_version(8);
  auto *opset = m.add_opset_import();
  opset->set_version(17);
  auto *g = m.mutable_graph();
  auto *x = g->add_input();
  x->set_name("x");
  auto *type = x->mutable_type()->mutable_tensor_type();
  type->set_elem_type(1);
  type->mutable_shape()->add_dim()->set_dim_param("N");
  type->mutable_shape()->add_dim()->set_dim_value(2);
  auto *w = g->add_initializer();
  w->set_name("w");
  w->set_data_type(1);
  w->add_dims(2);
  w->set_raw_data(std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  auto *n = g->add_node();
  n->set_op_type("Add");
  n->set_name("plus");
  n->add_input("x");
  n->add_input("w");
  n->add_output("y");
  g->add_output()->set_name("y");
  return m;
}

std::string errorOf(const ::onnx::ModelProto &m, const std::string &folder = ".") {
  std::string error;
  EXPECT_EQ(read(m.SerializeAsString(), folder, error), nullptr);
  return error;
}

TEST(OnnxRead, Whole) {
  std::string error;
  auto m = read(sum().SerializeAsString(), ".", error);
  ASSERT_NE(m, nullptr) << error;
  EXPECT_EQ(m->opsets.at(""), 17);
  ASSERT_EQ(m->graph.inputs.size(), 1u);
  EXPECT_EQ(std::get<std::string>(m->graph.inputs[0].shape->at(0)), "N");
  EXPECT_EQ(std::get<int64_t>(m->graph.inputs[0].shape->at(1)), 2);
  EXPECT_EQ(m->graph.initializers[0].bytes.view.size(), 8u);
  EXPECT_EQ(m->graph.nodes[0].op, "Add");
}

// Fields that newer versions of the schema have: where a node comes from, defaults of functions, functions of one name.
TEST(OnnxRead, NewerFields) {
  auto m = sum();
  auto *node = m.mutable_graph()->mutable_node(0);
  ::onnx::StringStringEntryProto scopes;
  scopes.set_key("pkg.torch.onnx.name_scopes");
  scopes.set_value("['', 'encoder', 'encoder.layers.0', 'add_3']");
  node->mutable_unknown_fields()->AddLengthDelimited(9, scopes.SerializeAsString());
  node->mutable_unknown_fields()->AddLengthDelimited(8, "second");
  node->set_domain("own");
  m.add_opset_import()->set_domain("own");
  auto *f = m.add_functions();
  f->set_name("Add");
  f->set_domain("own");
  f->mutable_unknown_fields()->AddLengthDelimited(13, "second");
  ::onnx::AttributeProto alpha;
  alpha.set_name("alpha");
  alpha.set_type(::onnx::AttributeProto::FLOAT);
  alpha.set_f(0.5f);
  f->mutable_unknown_fields()->AddLengthDelimited(11, alpha.SerializeAsString());
  std::string error;
  auto read = bigm::onnx::read(m.SerializeAsString(), ".", error);
  ASSERT_NE(read, nullptr) << error;
  EXPECT_EQ(read->graph.nodes[0].name, "/encoder.layers.0/plus");
  EXPECT_EQ(read->graph.nodes[0].op, "Add.second");
  EXPECT_EQ(read->functions[0].name, "Add.second");
  EXPECT_EQ(read->functions[0].defaults.at("alpha").real, 0.5f);
}

TEST(OnnxRead, EveryPrefixIsRefusedOrWhole) {
  std::string bytes = sum().SerializeAsString();
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string error;
    if (!read(std::string_view(bytes).substr(0, n), ".", error))
      EXPECT_FALSE(error.empty()) << n;
  }
}

TEST(OnnxRead, SizesAgainstData) {
  auto m = sum();
  m.mutable_graph()->mutable_initializer(0)->set_dims(0, 3);
  EXPECT_THAT(errorOf(m), HasSubstr("tensor `w` needs 12 bytes and has 8"));
  m.mutable_graph()->mutable_initializer(0)->set_dims(0, int64_t(1) << 62);
  EXPECT_THAT(errorOf(m), HasSubstr("sizes that no memory holds"));
  m.mutable_graph()->mutable_initializer(0)->set_dims(0, -2);
  EXPECT_THAT(errorOf(m), HasSubstr("sizes that no memory holds"));
  m.mutable_graph()->mutable_initializer(0)->set_dims(0, int64_t(1) << 40);
  m.mutable_graph()->mutable_initializer(0)->add_dims(int64_t(1) << 40);
  EXPECT_THAT(errorOf(m), HasSubstr("sizes that no memory holds"));
}

TEST(OnnxRead, TypedDataOfEachKind) {
  auto m = sum();
  auto *w = m.mutable_graph()->mutable_initializer(0);
  w->clear_raw_data();
  w->add_float_data(1);
  EXPECT_THAT(errorOf(m), HasSubstr("has 1 values for 2 elements"));
  w->set_data_type(10); // f16, each in an int32
  w->clear_float_data();
  w->add_int32_data(0x3c00);
  w->add_int32_data(0x4000);
  std::string error;
  auto read16 = read(m.SerializeAsString(), ".", error);
  ASSERT_NE(read16, nullptr) << error;
  EXPECT_EQ(read16->graph.initializers[0].bytes.view, std::string_view("\0\x3c\0\x40", 4));
  w->set_data_type(99);
  EXPECT_THAT(errorOf(m), HasSubstr("unknown type 99"));
}

TEST(OnnxRead, CyclesAndUndefinedNames) {
  auto m = sum();
  auto *n = m.mutable_graph()->mutable_node(0);
  n->set_input(0, "z");
  auto *back = m.mutable_graph()->add_node();
  back->set_op_type("Neg");
  back->add_input("y");
  back->add_output("z");
  EXPECT_THAT(errorOf(m), HasSubstr("node `plus` (Add) reads `z`, which nothing before it defines"));
  m = sum();
  m.mutable_graph()->mutable_node(0)->set_output(0, "x");
  EXPECT_THAT(errorOf(m), HasSubstr("defines `x` twice"));
  m = sum();
  m.mutable_graph()->mutable_output(0)->set_name("nothing");
  EXPECT_THAT(errorOf(m), HasSubstr("the output `nothing`, which nothing defines"));
}

TEST(OnnxRead, DataFiles) {
  std::string folder = testing::TempDir();
  std::ofstream(folder + "/weights.bin", std::ios::binary) << std::string(12, '\1');
  auto m = sum();
  auto *w = m.mutable_graph()->mutable_initializer(0);
  w->clear_raw_data();
  w->set_data_location(::onnx::TensorProto::EXTERNAL);
  auto set = [&](const char *key, const std::string &value) {
    for (auto &e : *w->mutable_external_data())
      if (e.key() == key) {
        e.set_value(value);
        return;
      }
    auto *e = w->add_external_data();
    e->set_key(key);
    e->set_value(value);
  };
  set("location", "weights.bin");
  set("offset", "4");
  set("length", "8");
  std::string error;
  auto good = read(m.SerializeAsString(), folder, error);
  ASSERT_NE(good, nullptr) << error;
  EXPECT_EQ(good->graph.initializers[0].bytes.view, std::string(8, '\1'));
  set("offset", "8");
  EXPECT_THAT(errorOf(m, folder), HasSubstr("lies at bytes 8 to 8 + 8 of `weights.bin`, which has 12"));
  set("offset", "18446744073709551615");
  EXPECT_THAT(errorOf(m, folder), HasSubstr("which is no place"));
  set("offset", "9223372036854775807");
  EXPECT_THAT(errorOf(m, folder), HasSubstr("which has 12"));
  set("offset", "0");
  set("location", "../weights.bin");
  EXPECT_THAT(errorOf(m, folder), HasSubstr("must be in the model's folder"));
  set("location", "/etc/passwd");
  EXPECT_THAT(errorOf(m, folder), HasSubstr("must be in the model's folder"));
  set("location", "nowhere.bin");
  EXPECT_THAT(errorOf(m, folder), HasSubstr("cannot be opened"));
}

TEST(OnnxRead, NoModel) {
  std::string error;
  EXPECT_EQ(read(std::string_view("these are words, not a model"), ".", error), nullptr);
  EXPECT_THAT(error, HasSubstr("is not an ONNX model"));
  EXPECT_EQ(read(std::string("/nowhere/at/all.onnx"), error), nullptr);
  EXPECT_EQ(error, "cannot be opened");
  EXPECT_EQ(read(std::string_view(""), ".", error), nullptr);
  EXPECT_EQ(error, "has no graph");
}

} // namespace
