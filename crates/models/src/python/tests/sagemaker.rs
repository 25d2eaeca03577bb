//! Handlers of SageMaker's functions.

use bessemer_transform::{
    model::{Model, TextFormat, Wants},
    records::Records,
};

use super::{Script, sample_for, score, texts};
use crate::python::HandlerOptions;

const MODEL: &str = "class Model:\n    def predict(self, data):\n        return data[:, 1] * 10\n\
                     def model_fn(model_dir):\n    return Model()\n";

fn types(content_type: &'static str, accept: &'static str) -> impl FnOnce(&mut HandlerOptions) {
    move |options| {
        options.content_type = Some(content_type.to_owned());
        options.accept = Some(accept.to_owned());
    }
}

#[test]
fn the_functions_are_called_in_turn() {
    let text = "import json\n\
        def model_fn(model_dir):\n    return {'factor': 3}\n\
        def input_fn(body, content_type):\n    assert content_type == 'application/jsonlines'\n    \
            return [json.loads(line) for line in body.decode().splitlines()]\n\
        def predict_fn(data, model):\n    return [r['x'] * model['factor'] for r in data]\n\
        def output_fn(prediction, accept):\n    assert accept == 'application/json'\n    \
            return json.dumps({'predictions': prediction})\n";
    let model = Script::bare(text).open();
    assert_eq!(model.wants(), Wants::Text(TextFormat::JsonLines));
    assert_eq!(texts(&score(&model).unwrap()), ["1.5", "4.5", "7.5"]);
}

#[test]
fn csv_and_json_come_as_text() {
    let text = "def model_fn(model_dir, context):\n    return context.system_properties\n\
        def transform_fn(model, body, content_type, accept):\n    assert isinstance(body, str)\n    \
            assert model['model_dir']\n    \
            return ''.join(line + '!\\n' for line in body.splitlines()), 'text/csv'\n";
    let model = Script::bare(text).with(types("text/csv", "text/csv")).open();
    assert_eq!(model.wants(), Wants::Text(TextFormat::Csv));
    assert_eq!(texts(&score(&model).unwrap())[1], "[1, \"1.5!\"]");
    let text = "import json\ndef model_fn(model_dir):\n    return None\n\
        def input_fn(body, content_type):\n    return json.loads(body)\n\
        def predict_fn(data, model):\n    return [len(data)] * len(data)\n";
    let model = Script::bare(text).with(types("application/json", "application/jsonlines")).open();
    assert_eq!(texts(&score(&model).unwrap()), ["3", "3", "3"]);
}

#[test]
fn absent_functions_do_as_in_sagemaker() {
    for content_type in ["text/csv", "application/x-npy"] {
        for accept in ["application/json", "text/csv", "application/jsonlines", "application/x-npy"]
        {
            let mut model = MODEL.to_owned();
            if content_type == "application/x-npy" {
                // The sample's third column is text.
                model = model.replace("data[:, 1]", "data[:, 1].astype(float)");
                model = format!(
                    "{model}import numpy\nreal = numpy.load\n\
                    numpy.load = lambda *a, **k: real(*a, allow_pickle=True)\n"
                );
            }
            let model = Script::new(&model).with(types(content_type, accept)).open();
            let answer = score(&model);
            let answer = answer.unwrap_or_else(|error| panic!("{content_type} {accept}: {error}"));
            let last: Vec<String> = texts(&answer);
            assert!(last[2].contains("25"), "{content_type} {accept}: {last:?}");
        }
    }
}

#[test]
fn a_single_record_keeps_its_shape() {
    let script = Script::new(MODEL).with(types("text/csv", "application/json"));
    let model = script.open();
    let all = sample_for(&model);
    for row in 0..3 {
        let answer = model.call(&all.slice(row..row + 1)).unwrap();
        assert_eq!(texts(&answer), [["5.0", "15.0", "25.0"][row]]);
    }
}

#[test]
fn empty_cells_are_not_numbers() {
    let text =
        format!("{MODEL}\ndef output_fn(prediction, accept):\n    return prediction.tolist()\n");
    let script = Script::new(&text).with(types("text/csv", "application/json"));
    let records = Records::Lines(["7,1", "8,", "9,3"].into_iter().collect());
    assert_eq!(texts(&script.open().call(&records).unwrap()), ["10.0", "null", "30.0"]);
}

#[test]
fn parquet_bodies_are_written_for_the_script() {
    let text = "import io, pandas\ndef model_fn(model_dir):\n    return None\n\
        def input_fn(body, content_type):\n    return pandas.read_parquet(io.BytesIO(body))\n\
        def predict_fn(data, model):\n    return data['x'] + 1\n\
        def output_fn(prediction, accept):\n    return ','.join(map(str, prediction)), 'text/csv'\n";
    let model = Script::new(text).with(types("application/x-parquet", "text/csv")).open();
    assert_eq!(model.wants(), Wants::Columns);
    assert_eq!(texts(&score(&model).unwrap()), ["1.5", "2.5", "3.5"]);
}

#[test]
fn answers_are_read_by_their_type() {
    let cases = [
        ("'1\\n2.50\\n\"a,b\"\\n'", "text/csv", ["1", "2.5", "\"a,b\""]),
        ("'1,x\\n,2\\nnan,3\\n'", "text/csv", ["[1, \"x\"]", "[null, 2]", "[null, 3]"]),
        ("b'[1, NaN, {\"a\": [Infinity]}]'", "application/json", ["1", "null", "{\"a\": [null]}"]),
        ("'1\\n\"a\"\\n[2]\\n'", "application/json", ["1", "\"a\"", "[2]"]),
        ("'1\\n\"a\"\\n[2]\\n'", "application/jsonlines", ["1", "\"a\"", "[2]"]),
        ("'{\"predictions\": [1, 2, 3]}'", "application/json; charset=utf-8", ["1", "2", "3"]),
        ("'one\\ntwo\\nthree'", "text/plain", ["\"one\"", "\"two\"", "\"three\""]),
        ("[1, 2, 3]", "application/json", ["1", "2", "3"]),
    ];
    for (answer, content_type, expected) in cases {
        let text = format!(
            "def transform_fn(model, body, content_type, accept):\n    return {answer}, '{content_type}'\n"
        );
        let found = score(&Script::bare(&text).open());
        let found = found.unwrap_or_else(|error| panic!("{answer}: {error}"));
        assert_eq!(texts(&found), expected, "{answer}");
    }
}

#[test]
fn what_cannot_be_used_is_refused() {
    let both = "def transform_fn(a, b, c, d): ...\ndef input_fn(a, b): ...\n";
    let cases = [
        (both, "keep one"),
        ("def input_fn(body, content_type): ...", "no `model_fn`"),
        ("def predict_fn(data): ...", "`predict_fn` takes 1 parameters, not 2"),
    ];
    for (text, expected) in cases {
        let error = Script::bare(text).refusal();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let script = Script::bare(MODEL).with(types("image/png", "application/json"));
    assert!(script.refusal().to_string().contains("`image/png` is none of the content types"));
}
