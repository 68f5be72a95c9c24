//! A plan that has run once allocates nothing when it runs again, except for f32 tensors.

#[path = "../../tests/allocations/counting.rs"]
mod counting;
#[path = "qdq/net.rs"]
mod net;

use counting::COUNT;
use kernels::cpu::{Executor, StepOutput};
use kernels::plan::Plan;
use net::FAMILIES;

#[test]
fn a_plan_that_has_run_allocates_nothing() {
    for family in FAMILIES {
        let mut net = (family.build)(2);
        let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
        let pixels = net.pixels(3);
        for threads in [1, 2] {
            let mut executor = Executor::new(&plan, threads).unwrap();
            let mut out = vec![0.0; 3 * executor.dim()];
            executor.run_with(&pixels, &mut out, |_, _| ()).unwrap();
            let mut before = COUNT.get();
            let observe = |index: usize, _: StepOutput<'_>| {
                let after = COUNT.get();
                let step = &plan.steps()[index];
                let view = plan.tensor(step.outputs[0]);
                let allowed = if view.kind.params().is_some() {
                    0
                } else {
                    u64::MAX
                };
                let found = after - before;
                assert!(
                    found <= allowed,
                    "{}, {threads} threads: `{}` {found}",
                    family.name,
                    step.name
                );
                before = COUNT.get();
            };
            executor.run_with(&pixels, &mut out, observe).unwrap();
        }
    }
}
