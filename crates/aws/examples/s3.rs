//! Serves S3 alone, for tests: `s3 FOLDER [PORT]`. The address goes to stdout.

use std::{env, path::Path, sync::Arc};

use bessemer_aws::{AccessKey, Keys, s3};
use bessemer_objects::buckets::BucketDir;

struct TestKeys;

impl Keys for TestKeys {
    fn find(&self, access_key_id: &str) -> Option<AccessKey> {
        let is_read_only = match access_key_id {
            "AKIAWRITER" => false,
            "AKIAREADER" => true,
            _ => return None,
        };
        Some(AccessKey { secret: "secret".to_owned(), is_read_only })
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the address is what this prints")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().ok_or("a folder is missing")?;
    let port = arguments.next().unwrap_or_else(|| "0".to_owned());
    let buckets = BucketDir::open(Path::new(&folder))?;
    let service = s3::service(Arc::new(buckets), Arc::new(TestKeys));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, axum::Router::new().fallback_service(service)).await?;
    Ok(())
}
