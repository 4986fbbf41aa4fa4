#include <doctest/doctest.h>
#include <stdlib.h>

#include <string>
#include <utility>
#include <vector>

#include "base/launched_ranks.h"
#include "support/in_child.h"

namespace ringfeed {
namespace {

using Variables = std::vector<std::pair<const char*, const char*>>;

/// With these variables alone.
std::string launched_with(const Variables& variables) {
  return testing::in_child([&] {
    ::clearenv();
    for (const auto& [name, value] : variables) ::setenv(name, value, 1);
    const auto ranks = launched_ranks();
    return ranks ? std::to_string(*ranks) : "unknown";
  });
}

Variables srun(const char* tasks, const char* node) {
  return {{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_TASKS_PER_NODE", tasks}, {"SLURM_NODEID", node}};
}

TEST_CASE("each launcher's variables say how many ranks are on this machine") {
  CHECK(launched_with({}) == "unknown");
  CHECK(launched_with({{"LOCAL_WORLD_SIZE", "8"}, {"WORLD_SIZE", "64"}}) == "8");
  CHECK(launched_with({{"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}) == "4");
  CHECK(launched_with({{"MPI_LOCALNRANKS", "6"}}) == "6");
  CHECK(launched_with({{"MV2_COMM_WORLD_LOCAL_SIZE", "5"}}) == "5");
  CHECK(launched_with({{"PALS_LOCAL_SIZE", "12"}}) == "12");
}

TEST_CASE("Lightning's launcher: all ranks are here where they meet at a loopback address") {
  const auto job = [](const char* host, const char* rank) {
    return launched_with({{"MASTER_ADDR", host}, {"WORLD_SIZE", "4"}, {rank, "0"}});
  };
  CHECK(job("127.0.0.1", "LOCAL_RANK") == "4");
  CHECK(job("localhost", "RANK") == "4");
  CHECK(job("::1", "LOCAL_RANK") == "4");
  CHECK(job("node17", "LOCAL_RANK") == "unknown");  // there may be others
  CHECK(job("127.0.0.1", "UNRELATED") == "unknown");
}

TEST_CASE("srun: the entry of this node") {
  CHECK(launched_with(srun("4", "0")) == "4");
  CHECK(launched_with(srun("4(x2),3", "1")) == "4");
  CHECK(launched_with(srun("4(x2),3", "2")) == "3");
  CHECK(launched_with(srun("4(x2),3(x10),1", "12")) == "1");
  CHECK(launched_with(srun("4(x2)", "7")) == "unknown");
  CHECK(launched_with({{"SLURM_STEPID", "1"}, {"SLURM_NTASKS_PER_NODE", "8"}}) == "8");
}

TEST_CASE("a batch script is one process, however many tasks its job may start") {
  CHECK(launched_with({{"SLURM_NTASKS_PER_NODE", "8"}, {"SLURM_TASKS_PER_NODE", "8(x2)"}}) ==
        "unknown");
}

TEST_CASE("torchrun and Lightning inside another launcher's task: theirs counts") {
  Variables torchrun = srun("1(x4)", "2");
  torchrun.emplace_back("LOCAL_WORLD_SIZE", "8");
  CHECK(launched_with(torchrun) == "8");
  Variables lightning = srun("1", "0");
  for (const auto& [name, value] :
       Variables{{"MASTER_ADDR", "127.0.0.1"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "1"}}) {
    lightning.emplace_back(name, value);
  }
  CHECK(launched_with(lightning) == "2");
}

TEST_CASE("nonsense says nothing") {
  for (const char* text : {"", "0", "-1", "many", "8x", "99999999999"}) {
    CAPTURE(text);
    CHECK(launched_with({{"LOCAL_WORLD_SIZE", text}}) == "unknown");
    CHECK(launched_with(srun(text, "0")) == "unknown");
    CHECK(launched_with(srun("4", text)) == "4");  // the first node, if none is named
  }
}

}  // namespace
}  // namespace ringfeed
