#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/errors.h"
#include "common/host.h"
#include "trainer/doctor/facts.h"

namespace hyperx::doctor {

namespace {

constexpr char kSharedMemory[] = "/dev/shm";

std::vector<int> own_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0) return cores;  // more cores than the mask can hold
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &mask)) cores.push_back(core);
  return cores;
}

int64_t limit_of(decltype(RLIMIT_AS) resource) {
  struct rlimit limit {};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return -1;
  return static_cast<int64_t>(limit.rlim_cur);
}

}  // namespace

double ReduceSpeed::bus_bytes_per_second(int ranks) const {
  if (seconds <= 0 || ranks < 2) return 0;
  return 2.0 * (ranks - 1) / ranks * static_cast<double>(bytes) / seconds;
}

RankFacts look_around() {
  RankFacts facts;
  facts.host = host_name();
  facts.cores = own_cores();
  facts.online_cores = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  facts.address_limit = limit_of(RLIMIT_AS);
  facts.host_memory = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
  facts.usable_memory = usable_memory();
  facts.open_files = limit_of(RLIMIT_NOFILE);
  struct statvfs shared {};
  if (::statvfs(kSharedMemory, &shared) == 0)
    facts.shm_free = static_cast<int64_t>(shared.f_bavail) * static_cast<int64_t>(shared.f_frsize);
  facts.shm_writable = ::access(kSharedMemory, W_OK | X_OK) == 0;
  return facts;
}

nlohmann::json RankFacts::to_json() const {
  nlohmann::json object = {{"rank", rank},
                           {"local_rank", local_rank},
                           {"local_size", local_size},
                           {"host", host},
                           {"cores", cores},
                           {"online_cores", online_cores},
                           {"address_limit", address_limit},
                           {"host_memory", host_memory},
                           {"usable_memory", usable_memory},
                           {"open_files", open_files},
                           {"shm_free", shm_free},
                           {"shm_writable", shm_writable},
                           {"versions", versions},
                           {"clock_offset", clock_offset},
                           {"clock_error", clock_error},
                           {"gpu",
                            {{"built_with_cuda", gpu.built_with_cuda},
                             {"hardware", gpu.hardware},
                             {"usable", gpu.usable},
                             {"reason", gpu.reason},
                             {"driver_cuda", gpu.driver_cuda},
                             {"built_cuda", gpu.built_cuda},
                             {"name", gpu.name},
                             {"bus", gpu.bus}}}};
  if (disk)
    object["disk"] = {{"problem", disk->problem},
                      {"free_bytes", disk->free_bytes},
                      {"write_bytes_per_second", disk->write_bytes_per_second},
                      {"sync_seconds", disk->sync_seconds},
                      {"flock_works", disk->flock_works},
                      {"record_lock_works", disk->record_lock_works},
                      {"exchange_works", disk->exchange_works},
                      {"sees_first_host", disk->sees_first_host},
                      {"sees_flock", disk->sees_flock},
                      {"sees_record_lock", disk->sees_record_lock}};
  return object;
}

RankFacts RankFacts::from_json(const nlohmann::json& object) {
  RankFacts facts;
  const auto take = [](const nlohmann::json& from, const char* key, auto& to) { from.at(key).get_to(to); };
  take(object, "rank", facts.rank);
  take(object, "local_rank", facts.local_rank);
  take(object, "local_size", facts.local_size);
  take(object, "host", facts.host);
  take(object, "cores", facts.cores);
  take(object, "online_cores", facts.online_cores);
  take(object, "address_limit", facts.address_limit);
  take(object, "host_memory", facts.host_memory);
  take(object, "usable_memory", facts.usable_memory);
  take(object, "open_files", facts.open_files);
  take(object, "shm_free", facts.shm_free);
  take(object, "shm_writable", facts.shm_writable);
  take(object, "versions", facts.versions);
  take(object, "clock_offset", facts.clock_offset);
  take(object, "clock_error", facts.clock_error);
  const nlohmann::json& gpu = object.at("gpu");
  take(gpu, "built_with_cuda", facts.gpu.built_with_cuda);
  take(gpu, "hardware", facts.gpu.hardware);
  take(gpu, "usable", facts.gpu.usable);
  take(gpu, "reason", facts.gpu.reason);
  take(gpu, "driver_cuda", facts.gpu.driver_cuda);
  take(gpu, "built_cuda", facts.gpu.built_cuda);
  take(gpu, "name", facts.gpu.name);
  take(gpu, "bus", facts.gpu.bus);
  if (!object.contains("disk")) return facts;
  const nlohmann::json& from = object.at("disk");
  DiskFacts& disk = facts.disk.emplace();
  take(from, "problem", disk.problem);
  take(from, "free_bytes", disk.free_bytes);
  take(from, "write_bytes_per_second", disk.write_bytes_per_second);
  take(from, "sync_seconds", disk.sync_seconds);
  take(from, "flock_works", disk.flock_works);
  take(from, "record_lock_works", disk.record_lock_works);
  take(from, "exchange_works", disk.exchange_works);
  take(from, "sees_first_host", disk.sees_first_host);
  take(from, "sees_flock", disk.sees_flock);
  take(from, "sees_record_lock", disk.sees_record_lock);
  return facts;
}

}  // namespace hyperx::doctor
