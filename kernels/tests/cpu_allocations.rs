//! A plan that has run once allocates nothing when it runs again, but for real numbers.

#[path = "qdq/net.rs"]
mod net;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kernels::cpu::{Executor, Written};
use kernels::plan::Plan;
use net::FAMILIES;

/// The system's allocator, with a count for each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being torn down has nothing to count any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promises that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
            let observe = |index: usize, _: Written<'_>| {
                let after = COUNT.get();
                let step = &plan.steps()[index];
                let slot = plan.slot(step.kind.writes()[0]);
                let allowed = if slot.content.codes().is_some() {
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
