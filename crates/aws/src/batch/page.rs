//! Pages of lists that are short enough to be read whole. A token is the number of what was seen.

use serde_json::Value;

use super::error::Error;

/// What is on a page if the call doesn't say: AWS's number.
pub(super) const PAGE: u32 = 100;

/// The page of `all` that `input` asks for, and the token of the next.
pub(super) fn page<T>(all: Vec<T>, input: &Value) -> Result<(Vec<T>, Option<String>), Error> {
    let wrong = |_| Error::client("The nextToken is not one of this list");
    let seen = input["nextToken"].as_str().map(str::parse::<usize>).transpose().map_err(wrong)?;
    let seen = seen.unwrap_or(0);
    let limit = limit(input["maxResults"].as_u64()) as usize;
    let next = (all.len() > seen + limit).then(|| (seen + limit).to_string());
    Ok((all.into_iter().skip(seen).take(limit).collect(), next))
}

/// How many a page has.
pub(super) fn limit(asked: Option<u64>) -> u32 {
    let asked = asked.and_then(|asked| u32::try_from(asked).ok());
    asked.unwrap_or(PAGE).clamp(1, PAGE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_lead_through_the_list() {
        let all: Vec<u32> = (0..5).collect();
        let (first, next) = page(all.clone(), &json!({"maxResults": 2})).unwrap();
        assert_eq!((first, next.as_deref()), (vec![0, 1], Some("2")));
        let (last, next) = page(all.clone(), &json!({"maxResults": 3, "nextToken": "2"})).unwrap();
        assert_eq!((last, next), (vec![2, 3, 4], None));
        assert!(page(all, &json!({"nextToken": "x"})).is_err());
    }
}
