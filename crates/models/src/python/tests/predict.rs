//! Handlers of one `predict`: what they take and what they return.

use arrow::datatypes::DataType;
use bessemer_transform::model::{Answer, Model, TextFormat, Wants};

use super::{Script, score, texts};
use crate::python::PythonError;

/// How a batch comes to the handler is told by its parameter's annotation.
#[test]
fn annotations_choose_the_form() {
    let cases = [
        ("import pandas\ndef predict(batch: pandas.DataFrame):\n", "pandas DataFrame"),
        ("import pandas as pd\ndef predict(batch: 'pd.DataFrame'):\n", "pandas DataFrame"),
        ("def predict(batch):\n", "pandas DataFrame"),
        (
            "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n\
             if TYPE_CHECKING:\n    import pandas as pd\ndef predict(batch: pd.DataFrame):\n",
            "pandas DataFrame",
        ),
        ("import pyarrow as pa\ndef predict(batch: pa.RecordBatch):\n", "pyarrow RecordBatch"),
        ("import pyarrow as pa\ndef predict(batch: pa.Table):\n", "pyarrow Table"),
        ("def predict(batch: list):\n", "builtins list"),
        ("def predict(batch: 'list[dict]'):\n", "builtins list"),
        ("from typing import Dict, List\ndef predict(batch: List[Dict]):\n", "builtins list"),
    ];
    for (head, form) in cases {
        let text = format!(
            "{head}    kind = type(batch)\n    \
             return [kind.__module__.split('.')[0] + ' ' + kind.__name__] * 3\n"
        );
        // Lists need no package, and an interpreter without any is quicker to start.
        let script = if form.contains("list") { Script::bare(&text) } else { Script::new(&text) };
        let answer = score(&script.open()).unwrap();
        assert_eq!(texts(&answer)[0], format!("\"{form}\""), "{head}");
    }
}

#[test]
fn every_kind_of_result_is_taken() {
    let number = ["{\"prediction\":0.5}", "{\"prediction\":1.5}", "{\"prediction\":2.5}"];
    let pair = ["{\"p\":0.5,\"q\":0}", "{\"p\":1.5,\"q\":1}", "{\"p\":2.5,\"q\":2}"];
    let vector =
        ["{\"prediction\":[0.5,0.0]}", "{\"prediction\":[1.5,1.0]}", "{\"prediction\":[2.5,2.0]}"];
    let lone = ["0.5", "1.5", "2.5"];
    let cases: [(&str, [&str; 3]); 22] = [
        ("df['x'].rename(None)", number),
        ("df['x'].rename('p').to_frame().assign(q=df['id'])", pair),
        ("df['x'].to_numpy()", number),
        ("df['x'].to_numpy().astype('float16')", number),
        ("df[['x']].to_numpy()", number),
        ("df[['x', 'id']].to_numpy()", vector),
        ("np.asfortranarray(df[['x', 'id']].to_numpy())", vector),
        ("{'p': df['x'], 'q': df['id'].to_numpy()}", pair),
        ("{'p': list(df['x']), 'q': pa.array([0, 1, 2])}", pair),
        ("pa.array(df['x'])", number),
        ("pa.chunked_array([[0.5], [1.5, 2.5]])", number),
        ("pa.table({'p': df['x'], 'q': df['id']})", pair),
        (
            "pa.concat_tables([pa.table({'p': [0.5], 'q': [0]}), \
          pa.table({'p': [1.5, 2.5], 'q': [1, 2]})])",
            pair,
        ),
        ("pa.RecordBatch.from_pydict({'p': df['x'], 'q': df['id']})", pair),
        ("np.array([(0.5, 0), (1.5, 1), (2.5, 2)], dtype=[('p', 'f8'), ('q', 'i8')])", pair),
        ("df['x'].sort_values(ascending=False).rename(None)", number),
        ("df[::-1]['x'].rename(None)", number),
        ("list(df['x'])", lone),
        ("(value for value in df['x'])", lone),
        ("[np.float32(value) for value in df['x']]", lone),
        (
            "[{'p': np.float64(x), 'q': np.int64(i)} for x, i in zip(df['x'], df['id'])]",
            ["{\"p\": 0.5, \"q\": 0}", "{\"p\": 1.5, \"q\": 1}", "{\"p\": 2.5, \"q\": 2}"],
        ),
        ("['a,\\n', None, float('nan')]", ["\"a,\\n\"", "null", "null"]),
    ];
    let text = "import os, numpy as np, pandas as pd, pyarrow as pa\ndef predict(df):\n    \
                return eval(open(os.path.dirname(__file__) + '/result').read())\n";
    let script = Script::new(text);
    let model = script.open();
    for (result, expected) in cases {
        std::fs::write(script.path("result"), result).unwrap();
        let answer = score(&model);
        let answer = answer.unwrap_or_else(|error| panic!("{result}: {error}"));
        assert_eq!(texts(&answer), expected, "{result}");
    }
}

#[test]
fn types_are_kept() {
    let text = "import numpy as np\ndef predict(df):\n    return {'a': df['x'].astype('float32'), \
                'b': np.ones((3, 4), 'float32'), 'c': df['name'] == 'a'}\n";
    let Answer::Columns(batch) = score(&Script::new(text).open()).unwrap() else { panic!("json") };
    let types: Vec<&DataType> =
        batch.schema_ref().fields().iter().map(|field| field.data_type()).collect();
    assert_eq!(types[0], &DataType::Float32);
    assert!(matches!(types[1], DataType::FixedSizeList(item, 4)
        if *item.data_type() == DataType::Float32));
    assert_eq!(types[2], &DataType::Boolean);
    assert!(batch.schema_ref().metadata().is_empty());
}

#[test]
fn a_bare_interpreter_serves_lists() {
    for annotation in ["", ": list[dict]"] {
        let text = format!(
            "from __future__ import annotations\ndef predict(batch{annotation}):\n    \
             return [{{'y': r['x'] * 2, 'n': r['name']}} for r in batch]\n"
        );
        let model = Script::bare(&text).open();
        assert_eq!(model.wants(), Wants::Text(TextFormat::JsonLines));
        assert_eq!(texts(&score(&model).unwrap())[2], "{\"y\": 5.0, \"n\": \"c\"}");
    }
}

#[test]
fn lists_may_come_as_text_or_by_way_of_arrow() {
    let text = "def predict(batch: list):\n    return [r['x'] for r in batch]\n";
    let model = Script::new(text).open();
    assert_eq!(model.wants(), Wants::Columns);
    assert_eq!(texts(&score(&model).unwrap()), ["0.5", "1.5", "2.5"]);
    let text_type = |options: &mut crate::python::HandlerOptions| {
        options.content_type = Some("application/jsonlines".to_owned());
    };
    let model = Script::new(text).with(text_type).open();
    assert_eq!(model.wants(), Wants::Text(TextFormat::JsonLines));
    assert_eq!(texts(&score(&model).unwrap()), ["0.5", "1.5", "2.5"]);
}

#[test]
fn models_are_loaded_once_and_passed_on() {
    for (loader, call) in [
        ("def load(model_dir):\n    return open(model_dir + '/weights').read()", "batch, model"),
        (
            "def model_fn(model_dir):\n    return open(model_dir + '/weights').read()",
            "batch, model",
        ),
        ("from json import load\nmodel = '4'", "batch"),
        ("model = None\ndef load():\n    global model\n    model = '4'", "batch"),
    ] {
        let text = format!("{loader}\ndef predict({call}):\n    return [int(model)] * 3\n");
        let script = Script::bare(&text);
        std::fs::write(script.path("weights"), "4").unwrap();
        assert_eq!(texts(&score(&script.open()).unwrap()), ["4", "4", "4"], "{loader}");
    }
}

#[test]
fn scripts_find_their_neighbours_and_their_own_classes() {
    let text = "import pickle, dataclasses, neighbour\n@dataclasses.dataclass\nclass Box:\n    \
                n: int\ndef predict(batch: list):\n    box = pickle.loads(pickle.dumps(Box(7)))\n    \
                return [box.n + neighbour.one] * 3\n";
    let script = Script::bare(text);
    std::fs::write(script.path("neighbour.py"), "one = 1\n").unwrap();
    assert_eq!(texts(&score(&script.open()).unwrap()), ["8", "8", "8"]);
}

#[test]
fn what_cannot_be_used_is_refused_with_the_fix() {
    let cases = [
        ("def predict(batch: int): ...", "`predict` takes a `builtins.int`; annotate"),
        ("def predict(): ...", "`predict` takes no parameter"),
        ("def predict(batch, model): ...", "`predict` takes (batch, model); write"),
        ("def score(x): ...", "(functions found: `score`)"),
        ("", "(functions found: none)"),
    ];
    for (text, expected) in cases {
        let error = Script::bare(text).refusal();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(error, PythonError::Refused { .. }));
    }
}

#[test]
fn frames_need_pyarrow_and_the_error_says_how() {
    let stub = "import sys, types\nmodule = types.ModuleType('pyarrow')\n\
                class RecordBatch: ...\n";
    let text = format!("{stub}def predict(batch: 'pa.RecordBatch'): ...");
    let error = Script::bare(&text).refusal();
    let message = error.to_string();
    assert!(message.contains("needs pyarrow in the handler's environment"), "{message}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("-m pip install pyarrow") && hint.contains("--requirements"), "{hint}");
    let error = Script::bare("def predict(batch: 'pd.DataFrame'): ...").refusal();
    assert!(error.to_string().contains("needs pyarrow and pandas"), "{error}");
}
