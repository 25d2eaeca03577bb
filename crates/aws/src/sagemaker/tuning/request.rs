//! The request of a tuning job, and what it is checked for beyond what the API's model says.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::jobs::{check_absent, unsupported},
    ranges::{ParameterRanges, Space},
};

/// Training jobs of a tuning job, and those at once, at most, as AWS has it.
const MOST: (u32, u32) = (750, 100);

/// The hyperparameter by which training jobs are told what is sought.
const OBJECTIVE: &str = "_tuning_objective_metric";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    hyper_parameter_tuning_job_config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    strategy: String,
    hyper_parameter_tuning_job_objective: Option<Objective>,
    resource_limits: ResourceLimits,
    #[serde(default)]
    parameter_ranges: ParameterRanges,
    #[serde(default)]
    tuning_job_completion_criteria: CompletionCriteria,
    random_seed: Option<u64>,
}

/// What is sought.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Objective {
    #[serde(rename = "Type")]
    kind: String,
    pub(super) metric_name: String,
}

#[derive(Deserialize)]
struct ResourceLimits {
    #[serde(rename = "MaxNumberOfTrainingJobs")]
    training_jobs: Option<u32>,
    #[serde(rename = "MaxParallelTrainingJobs")]
    parallel: u32,
    #[serde(rename = "MaxRuntimeInSeconds")]
    runtime: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CompletionCriteria {
    target_objective_metric_value: Option<f64>,
    best_objective_not_improving: NotImproving,
    convergence_detected: Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NotImproving {
    max_number_of_training_jobs_not_improving: Option<u32>,
}

/// A search: all that its course follows from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    pub(super) objective: Objective,
    pub(super) space: Space,
    is_grid: bool,
    seed: Option<u64>,
    /// Training jobs, at most.
    pub(super) most: u32,
    /// Training jobs at once.
    pub(super) parallel: u32,
    /// How long it may take, in milliseconds.
    pub(super) millis: Option<u64>,
    /// It ends when a training job is as good as this.
    pub(super) target: Option<f64>,
    /// It ends when so many training jobs were no better than the best before them.
    pub(super) not_improving: Option<u32>,
    /// What training jobs are made of.
    definition: Value,
}

impl Objective {
    /// Whether one value is better than another.
    pub(super) fn is_better(&self, one: f64, other: f64) -> bool {
        if self.kind == "Minimize" { one < other } else { one > other }
    }
}

impl Search {
    /// Reads a request, or says what is wrong with it.
    pub(super) fn of(input: &Value) -> Result<Self, String> {
        check_supported(input)?;
        let request = Request::deserialize(input).map_err(|error| error.to_string())?;
        let config = request.hyper_parameter_tuning_job_config;
        let is_grid = match config.strategy.as_str() {
            "Random" => false,
            "Grid" => true,
            other => {
                return Err(format!(
                    "{}; use Random or Grid",
                    unsupported(&format!("Strategy {other}"))
                ));
            }
        };
        let objective = config.hyper_parameter_tuning_job_objective;
        let objective = objective.ok_or("HyperParameterTuningJobObjective is required")?;
        let definition = input["TrainingJobDefinition"].clone();
        check_definition(&definition, &objective)?;
        if !config.parameter_ranges.auto.is_empty() {
            return Err(unsupported("ParameterRanges.AutoParameters"));
        }
        let space = Space::of(&config.parameter_ranges)?;
        let fixed = definition["StaticHyperParameters"].as_object();
        if let Some(both) =
            space.names().find(|name| fixed.is_some_and(|all| all.contains_key(*name)))
        {
            return Err(format!("Hyperparameter {both} is static and has a range"));
        }
        let limits = config.resource_limits;
        let most = jobs(&limits, is_grid.then_some(&space))?;
        let criteria = config.tuning_job_completion_criteria;
        if criteria.convergence_detected["CompleteOnConvergence"] == "Enabled" {
            return Err(unsupported("TuningJobCompletionCriteria.ConvergenceDetected"));
        }
        let not_improving = criteria.best_objective_not_improving;
        Ok(Self {
            objective,
            space,
            is_grid,
            seed: config.random_seed,
            most,
            parallel: limits.parallel,
            millis: limits.runtime.map(|seconds| seconds.saturating_mul(1_000)),
            target: criteria.target_objective_metric_value,
            not_improving: not_improving.max_number_of_training_jobs_not_improving,
            definition,
        })
    }

    /// The hyperparameters of training job number `index` that are sought.
    pub(super) fn tuned(&self, seed: u64, index: u32) -> Map<String, Value> {
        let index = u64::from(index);
        if self.is_grid {
            return self.space.combination(index);
        }
        self.space.sample(self.seed.unwrap_or(seed), index)
    }

    /// The input of `CreateTrainingJob` for training job number `index`, but for its name.
    pub(super) fn training_job(&self, seed: u64, index: u32) -> Value {
        let mut job = self.definition.clone();
        let Some(members) = job.as_object_mut() else { return job };
        for own in ["DefinitionName", "TuningObjective", "HyperParameterRanges"] {
            members.shift_remove(own);
        }
        if let Some(resources) = members.shift_remove("HyperParameterTuningResourceConfig") {
            members.insert("ResourceConfig".to_owned(), resource_config(resources));
        }
        let fixed = members.shift_remove("StaticHyperParameters");
        let mut all = fixed.and_then(|fixed| fixed.as_object().cloned()).unwrap_or_default();
        all.extend(self.tuned(seed, index));
        members.insert("HyperParameters".to_owned(), Value::Object(all));
        job
    }
}

/// Resources as a training job asks for them: of several kinds of instances, the first is there.
fn resource_config(mut resources: Value) -> Value {
    let Some(members) = resources.as_object_mut() else { return resources };
    members.shift_remove("AllocationStrategy");
    let kinds = members.shift_remove("InstanceConfigs");
    if let Some(first) = kinds.as_ref().and_then(|kinds| kinds[0].as_object()) {
        members.extend(first.clone());
    }
    resources
}

/// A request as it is kept: training jobs are told what is sought, and SDKs that attach to it which
/// instances they have.
pub(super) fn completed(mut input: Value) -> Value {
    let objective = &input["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"];
    let metric = objective["MetricName"].clone();
    if let Some(members) = input.as_object_mut() {
        members.shift_remove("Tags");
    }
    if input["TrainingJobDefinition"].is_object() {
        let definition = &mut input["TrainingJobDefinition"];
        if !definition["StaticHyperParameters"].is_object() {
            definition["StaticHyperParameters"] = json!({});
        }
        definition["StaticHyperParameters"][OBJECTIVE] = metric;
        if let Some(resources) = definition.get("HyperParameterTuningResourceConfig") {
            definition["ResourceConfig"] = resource_config(resources.clone());
        }
    }
    input
}

fn check_supported(input: &Value) -> Result<(), String> {
    let empty = Map::new();
    let members = |value: &Value| value.as_object().cloned().unwrap_or_else(|| empty.clone());
    check_absent(&members(input), &["Autotune", "WarmStartConfig", "TrainingJobDefinitions"])?;
    let config = &input["HyperParameterTuningJobConfig"];
    check_absent(&members(config), &["StrategyConfig"])?;
    let definition = &input["TrainingJobDefinition"];
    if !definition.is_object() {
        return Err("TrainingJobDefinition is required".to_owned());
    }
    check_absent(&members(definition), &["HyperParameterRanges", "TuningObjective"])
}

/// That what is sought is among the metrics, if it says which there are.
fn check_definition(definition: &Value, objective: &Objective) -> Result<(), String> {
    let metrics = definition["AlgorithmSpecification"]["MetricDefinitions"].as_array();
    let names: Vec<&str> =
        metrics.into_iter().flatten().filter_map(|metric| metric["Name"].as_str()).collect();
    let name = &objective.metric_name;
    if names.is_empty() || names.contains(&name.as_str()) {
        return Ok(());
    }
    Err(format!(
        "The objective metric {name} is not in MetricDefinitions, which has {}",
        names.join(", ")
    ))
}

/// How many training jobs there are: in a grid, as many as there can be.
fn jobs(limits: &ResourceLimits, grid: Option<&Space>) -> Result<u32, String> {
    let asked = limits.training_jobs;
    let most = match (grid.map(Space::combinations), asked) {
        (None, None) => {
            return Err("ResourceLimits must have a MaxNumberOfTrainingJobs".to_owned());
        }
        (None, Some(asked)) => u64::from(asked),
        (Some(None), _) => {
            return Err("Strategy Grid takes CategoricalParameterRanges only".to_owned());
        }
        (Some(Some(all)), Some(asked)) if u64::from(asked) != all => {
            return Err(format!(
                "MaxNumberOfTrainingJobs must be {all} or absent for Strategy Grid: there are {all} \
                 combinations"
            ));
        }
        (Some(Some(all)), _) => all,
    };
    let parallel = limits.parallel;
    match u32::try_from(most).ok().filter(|most| *most <= MOST.0) {
        None => Err(format!("A tuning job has {} training jobs at most, it has {most}", MOST.0)),
        Some(_) if parallel > MOST.1 => {
            Err(format!("MaxParallelTrainingJobs must not exceed {}, it is {parallel}", MOST.1))
        }
        Some(most) => Ok(most),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request that can be met.
    pub(in super::super) fn request() -> Value {
        json!({
            "HyperParameterTuningJobName": "search",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Random",
                "HyperParameterTuningJobObjective": { "Type": "Minimize", "MetricName": "loss" },
                "ResourceLimits": {
                    "MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2,
                },
                "ParameterRanges": { "CategoricalParameterRanges": [
                    { "Name": "kind", "Values": ["a", "b"] },
                ]},
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": { "rounds": "3" },
                "AlgorithmSpecification": {
                    "TrainingImage": "i", "TrainingInputMode": "File",
                    "MetricDefinitions": [{ "Name": "loss", "Regex": "loss=(.*)" }],
                },
                "DefinitionName": "d",
            },
        })
    }

    #[test]
    fn training_jobs_have_what_is_fixed_and_what_is_sought() {
        let search = Search::of(&completed(request())).unwrap();
        let job = search.training_job(1, 0);
        assert_eq!(job["HyperParameters"]["rounds"], "3");
        assert_eq!(job["HyperParameters"][OBJECTIVE], "loss");
        assert!(["a", "b"].contains(&job["HyperParameters"]["kind"].as_str().unwrap()));
        assert!(job.get("DefinitionName").is_none() && job.get("StaticHyperParameters").is_none());
        let mut chosen = request();
        chosen["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"] = json!({
            "VolumeKmsKeyId": "k", "AllocationStrategy": "Prioritized", "InstanceConfigs": [
                { "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5 },
                { "InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5 },
            ],
        });
        let job = Search::of(&chosen).unwrap().training_job(1, 0);
        let resources = json!({
            "VolumeKmsKeyId": "k", "InstanceType": "ml.m5.large", "InstanceCount": 1,
            "VolumeSizeInGB": 5,
        });
        assert_eq!(job["ResourceConfig"], resources);
        assert_eq!(completed(chosen)["TrainingJobDefinition"]["ResourceConfig"], resources);
        let mut grid = request();
        grid["HyperParameterTuningJobConfig"]["Strategy"] = json!("Grid");
        grid["HyperParameterTuningJobConfig"]["ResourceLimits"] =
            json!({ "MaxParallelTrainingJobs": 2 });
        let search = Search::of(&grid).unwrap();
        assert_eq!(search.most, 2);
        assert_ne!(search.tuned(1, 0), search.tuned(1, 1));
    }

    #[test]
    fn what_can_not_be_run_is_refused_by_name() {
        let config = "/HyperParameterTuningJobConfig";
        let set = |pointer: String, value: Value| {
            let mut request = request();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            request.pointer_mut(parent).unwrap()[name] = value;
            Search::of(&request)
        };
        let warm = json!({ "ParentHyperParameterTuningJobs": [] });
        let ranges = format!("{config}/ParameterRanges");
        let limits = format!("{config}/ResourceLimits");
        let refused = [
            (set(format!("{config}/Strategy"), json!("Bayesian")), "use Random or Grid"),
            (set(format!("{config}/Strategy"), json!("Grid")), "there are 2"),
            (set(format!("{config}/StrategyConfig"), json!({})), "StrategyConfig"),
            (set("/WarmStartConfig".to_owned(), warm), "WarmStartConfig"),
            (set("/Autotune".to_owned(), json!({})), "Autotune"),
            (set("/TrainingJobDefinitions".to_owned(), json!([])), "TrainingJobDefinitions"),
            (set("/TrainingJobDefinition".to_owned(), Value::Null), "is required"),
            (set(ranges.clone(), json!({})), "at least one range"),
            (set(format!("{ranges}/AutoParameters"), json!([{}])), "AutoParameters"),
            (set(limits.clone(), json!({ "MaxParallelTrainingJobs": 1 })), "MaxNumberOf"),
            (set(format!("{limits}/MaxNumberOfTrainingJobs"), json!(751)), "750"),
            (set(format!("{limits}/MaxParallelTrainingJobs"), json!(101)), "100"),
            (
                set(format!("{config}/HyperParameterTuningJobObjective/MetricName"), json!("auc")),
                "which has loss",
            ),
            (
                set(
                    "/TrainingJobDefinition/StaticHyperParameters".to_owned(),
                    json!({ "kind": "a" }),
                ),
                "is static and has a range",
            ),
        ];
        for (result, words) in refused {
            let message = result.unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
