//! A few guests of chance in every dialect; `examples/nn_fuzz.rs` runs many.

use crate::fuzz::Fuzz;

/// Runs per test: seconds, not minutes.
const RUNS: u64 = 300;

#[tokio::test]
async fn core_modules_of_chance_get_numbers_and_never_trap() {
    let fuzz = Fuzz::module(2000);
    let tally = fuzz.run(0..RUNS / 10).await;
    assert_eq!((tally.ended, tally.trapped), (RUNS / 10, 0));
    assert!(fuzz.computes() > 100, "only {} computes came through", fuzz.computes());
}

#[tokio::test]
async fn components_of_chance_over_wasi_nn_cost_themselves_only() {
    let Some(fuzz) = Fuzz::wasi_nn() else { return };
    let tally = fuzz.run(0..RUNS).await;
    assert!(fuzz.computes() > 0, "no compute came through");
    // Neither all nor none: a guest that always traps at once shows nothing.
    assert!(tally.trapped > 0 && tally.trapped < RUNS, "{tally:?}");
}

#[tokio::test]
async fn components_of_chance_over_inference_cost_themselves_only() {
    let Some(fuzz) = Fuzz::inference() else { return };
    let tally = fuzz.run(0..RUNS).await;
    assert!(tally.trapped > 0 && tally.trapped < RUNS, "{tally:?}");
}
