//! How fast batches pass through a handler that does almost nothing. Run it by name, in release.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use arrow::{
    array::{ArrayRef, Float32Array},
    record_batch::RecordBatch,
};
use bessemer_transform::{model::Model, records::Records};

use super::Script;

#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement is to be read")]
fn rows_a_second() {
    let heads = [
        ("DataFrame", "def predict(df):\n    return df['f0'] + df['f27']\n"),
        (
            "RecordBatch",
            "import pyarrow as pa, pyarrow.compute as pc\ndef predict(batch: pa.RecordBatch):\n    \
             return pc.add(batch.column(0), batch.column(27))\n",
        ),
        (
            "list[dict]",
            "def predict(batch: list):\n    return [r['f0'] + r['f27'] for r in batch]\n",
        ),
    ];
    for (name, text) in heads {
        let model = Script::new(text).with(|options| options.copies = Some(2)).open();
        for rows in [8_192, 65_536] {
            let records = Records::Columns(features(rows));
            let calls = if name == "list[dict]" { 20 } else { 4_000_000 / rows };
            let seconds = run(&model, &records, calls);
            let speed = (calls * rows) as f64 / seconds;
            eprintln!("{name}, {rows} rows a call: {:.0}k rows/s", speed / 1e3);
        }
    }
}

fn run(model: &impl Model, records: &Records, calls: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let call = || {
        while next.fetch_add(1, Ordering::Relaxed) < calls {
            model.call(records).unwrap();
        }
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| model.call(records).unwrap());
        }
    });
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(call);
        }
    });
    start.elapsed().as_secs_f64()
}

fn features(rows: usize) -> RecordBatch {
    let columns = (0..28).map(|index| {
        let values = (0..rows).map(|row| (row * 31 + index) as f32 / 7.0);
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (format!("f{index}"), array)
    });
    RecordBatch::try_from_iter(columns).unwrap()
}
