package policy_test

import (
	"fmt"

	"arenacap/policy"
)

func ExamplePolicy_Resolve() {
	p := policy.Builtin()
	p.Arenas.Cap = policy.Cap{Mode: policy.PerCore, Micro: 500_000, From: "policy.toml:2"}

	plan, err := p.Resolve(policy.Machine{
		Online:   policy.Reading[int]{N: 16, From: "/sys/devices/system/cpu/online"},
		Affinity: policy.Reading[int]{N: 16, From: "sched_getaffinity"},
		Quota:    policy.Reading[float64]{N: 5.5, From: "/sys/fs/cgroup/cpu.max"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("MALLOC_ARENA_MAX", plan.ArenaMax)
	fmt.Println("MALLOC_ARENA_TEST", plan.ArenaTest)
	for _, reason := range plan.Reasons {
		fmt.Println("-", reason)
	}
	// Output:
	// MALLOC_ARENA_MAX 3
	// MALLOC_ARENA_TEST 2
	// - cores: 6, the least of online 16 (/sys/devices/system/cpu/online); affinity 16 (sched_getaffinity); quota 5.5 (/sys/fs/cgroup/cpu.max)
	// - cap = "0.5/core" (policy.toml:2) on 6 cores is 3: MALLOC_ARENA_MAX is 3
	// - MALLOC_ARENA_TEST is 2: max(1, cap - 1)
}
