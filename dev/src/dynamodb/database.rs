//! The database: in memory, or in a file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{StartError, table};

/// Opens the database, and makes the table if it does not exist.
pub(super) fn open(table: &str, data_dir: Option<&Path>) -> Result<Database, StartError> {
    let Some(directory) = data_dir else {
        let database = Database::memory().map_err(StartError::new("a database in memory"))?;
        make_table(&database, table).map_err(StartError::new("a database in memory"))?;
        return Ok(database);
    };
    let file = directory.join("dynamodb.sqlite");
    let name = file.display().to_string();
    close_to_others(&file).map_err(StartError::new(&name))?;
    let path = file
        .to_str()
        .ok_or("its name is not UTF-8")
        .map_err(StartError::new(&name))?;
    let database = Database::new(path).map_err(StartError::new(&name))?;
    make_table(&database, table).map_err(StartError::new(&name))?;
    database.sweep_ttl().map_err(StartError::new(&name))?;
    Ok(database)
}

/// Makes the file, or closes an existing one to other users. `SQLite` gives the files that it makes beside it the same
/// mode; files of an earlier run may have another.
fn close_to_others(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    close(&options.open(file)?)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut beside = file.as_os_str().to_owned();
        beside.push(suffix);
        match File::open(PathBuf::from(beside)) {
            Ok(beside) => close(&beside)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg_attr(not(unix), expect(clippy::unnecessary_wraps, reason = "it can fail on Unix"))]
fn close(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn make_table(database: &Database, table: &str) -> Result<(), DynoxideError> {
    let mut definition = table::properties();
    definition["TableName"] = json!(table);
    let time_to_live = json!({
        "TableName": table,
        "TimeToLiveSpecification": definition["TimeToLiveSpecification"].take(),
    });
    match database.create_table(request(definition)?) {
        Err(DynoxideError::ResourceInUseException(_)) => return Ok(()),
        made => made?,
    };
    database.update_time_to_live(request(time_to_live)?)?;
    Ok(())
}

/// Reads all items, and writes back those that `edit` has changed.
pub(super) fn edit(database: &Database, table: &str, mut edit: impl FnMut(&mut Value)) -> Result<(), DynoxideError> {
    let found = database.scan(request(json!({ "TableName": table }))?)?;
    let found = serde_json::to_value(found).unwrap_or_default();
    for before in found["Items"].as_array().into_iter().flatten() {
        let mut item = before.clone();
        edit(&mut item);
        if item != *before {
            database.put_item(request(json!({ "TableName": table, "Item": item }))?)?;
        }
    }
    Ok(())
}

fn request<T: DeserializeOwned>(value: Value) -> Result<T, DynoxideError> {
    serde_json::from_value(value).map_err(|error| DynoxideError::SerializationException(error.to_string()))
}
