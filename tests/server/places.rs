//! Countries of pings, by databases that the tests write.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};

use crate::{
    stores::on_both_stores,
    support::{
        eventually,
        http::{PINGBACK, post},
        mmdb::Mmdb,
        rows::Rows,
        server::{Server, Setup},
    },
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kolibri/captures");
const REJECTED: &str = "nutritionfacts_geoip_database_rejected";
const BUILT: &str = "nutritionfacts_geoip_database_built_timestamp_seconds";
/// On the Internet, and in the databases of [`one`].
const ADDRESS: &str = "41.59.7.9";

on_both_stores!(
    captured_pings_get_the_country_of_the_whole_address,
    messages_and_modes_follow_the_country,
    a_swap_under_load_loses_no_ping_and_mixes_nothing,
);

/// A request as a proxy on this machine passes it on.
fn forwarded(request: &[u8], address: &str) -> Vec<u8> {
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let header = format!("\r\nX-Forwarded-For: {address}");
    [&request[..end], header.as_bytes(), &request[end..]].concat()
}

fn ping(instance: &str) -> Vec<u8> {
    post(PINGBACK, json!({"instance_id": instance, "version": "0.19.5"}).to_string().as_bytes())
}

/// A database in which [`ADDRESS`] has this country.
fn one(country: &str, built: u64) -> Vec<u8> {
    let countries = Mmdb::new().built(built).network("41.0.0.0/8", Mmdb::flat(country));
    countries.network("2c0f:fe38::/32", Mmdb::flat("KE")).bytes()
}

fn behind_a_proxy(setup: &Setup, database: &Path) -> Setup {
    setup.clone().set("http.trusted_proxies=[127.0.0.0/8]").set(&format!("geoip.database={}", database.display()))
}

/// The country that the server gives a ping from [`ADDRESS`].
fn country(server: &Server) -> Value {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let instance = format!("country-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    assert_eq!(server.ask(&forwarded(&ping(&instance), ADDRESS)).status, 200);
    Rows::open(&server.setup.url).one("pingbacks", "instance_id", &instance)["country"].clone()
}

fn lookups(server: &Server, result: &str) -> Option<String> {
    server.metric(&format!("nutritionfacts_geoip_lookups_total{{result=\"{result}\"}}"))
}

fn wait_for(server: &Server, series: &str, value: &str) {
    eventually(&format!("{series} is {value}"), || (server.metric(series).as_deref() == Some(value)).then_some(()));
}

/// How often the log has a line about a rejected file.
fn rejections(server: &Server) -> usize {
    let events = server.log.events();
    let about = |event: &Value| event["message"].as_str().is_some_and(|text| text.contains("countries rejected"));
    events.into_iter().filter(about).count()
}

fn captured_pings_get_the_country_of_the_whole_address(setup: &Setup) {
    let database = setup.folder().join("city.mmdb");
    let mmdb = Mmdb::new()
        // Finer than what is stored of an address.
        .network("41.59.7.0/25", Mmdb::city("TZ", "02"))
        .network("41.59.7.128/25", Mmdb::city("KE", "30"))
        .network("197.248.0.0/16", Mmdb::flat("UG"))
        .network("2c0f:fe38:1:1::/64", Mmdb::city("RW", "01"))
        .network("2c0f:fe38:1:2::/64", Mmdb::city("BI", "BM"))
        .network("10.0.0.0/8", Mmdb::flat("US"))
        .alias("::ffff:0:0/96")
        .alias("2002::/16");
    fs::write(&database, mmdb.bytes()).unwrap();
    let server = behind_a_proxy(setup, &database).start();
    let mut rows = Rows::open(&setup.url);
    let list = fs::read_to_string(format!("{FOLDER}/captures.jsonl")).unwrap();
    let captures = list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut pings = captures.filter(|capture| capture["path"] == PINGBACK && capture["body"].is_object());
    for (address, expected) in [
        ("41.59.7.9", ["TZ", "TZ-02", "41.59.7.0/24"]),
        ("41.59.7.200", ["KE", "KE-30", "41.59.7.0/24"]),
        ("::ffff:41.59.7.9", ["TZ", "TZ-02", "41.59.7.0/24"]),
        ("2002:293b:709::1", ["TZ", "TZ-02", "2002:293b:709::/48"]),
        ("[2c0f:fe38:1:1::5]:4711", ["RW", "RW-01", "2c0f:fe38:1::/48"]),
        ("2c0f:fe38:1:2::5", ["BI", "BI-BM", "2c0f:fe38:1::/48"]),
        ("197.248.3.3", ["UG", "", "197.248.3.0/24"]),
        // What the client itself writes is to the left of what the proxy has seen.
        ("197.248.3.3, 41.59.7.9", ["TZ", "TZ-02", "41.59.7.0/24"]),
        ("8.8.8.8", ["", "", "8.8.8.0/24"]),
        ("10.1.2.3", ["", "", "10.1.2.0/24"]),
    ] {
        let capture = pings.next().expect("as many recorded pings");
        let request = fs::read(format!("{FOLDER}/{}", capture["file"].as_str().unwrap())).unwrap();
        let before = rows.ids("pingbacks");
        assert_eq!(server.ask(&forwarded(&request, address)).status, 200);
        let after = rows.ids("pingbacks");
        let row = rows.one("pingbacks", "id", (&after - &before).first().unwrap());
        assert_eq!(["country", "subdivision", "ip"].map(|column| row[column].as_str().unwrap()), expected, "{address}");
        rows.digested();
        let instance = rows.one("instances", "instance_id", row["instance_id"].as_str().unwrap());
        assert_eq!([&instance["country"], &instance["subdivision"]], [expected[0], expected[1]], "{address}");
    }
    let counted = ["found", "unknown", "reserved", "failed"].map(|result| lookups(&server, result).unwrap());
    assert_eq!(counted, ["8", "1", "1", "0"]);
    server.assert_well();
}

fn messages_and_modes_follow_the_country(setup: &Setup) {
    let folder = setup.folder();
    let database = folder.join("places.mmdb");
    fs::write(&database, one("TZ", 1)).unwrap();
    let message = |id: &str, countries: &str| {
        format!(
            "id: {id}\nstage: Active\ndate: 2026-11-01\naudience: {{countries: {countries}}}\ntranslations: {{en: {{title: T, message: M}}}}\n"
        )
    };
    let files = folder.join("messages.yaml");
    fs::write(&files, [message("east", "[TZ, UG]"), message("kenya", "[KE]")].join("---\n")).unwrap();
    let server = behind_a_proxy(setup, &database)
        .set(&format!("messages.files=[{}]", files.display()))
        .set("ingest.mode_rules=[{countries: [KE], mode: pilot}]")
        .start();
    let mut rows = Rows::open(&setup.url);
    // One installation that travels: what its country decides is not remembered for the next.
    for (address, messages, mode) in [
        (ADDRESS, &["east"][..], ""),
        ("2c0f:fe38::1", &["kenya"], "pilot"),
        ("8.8.8.8", &[], ""),
        (ADDRESS, &["east"], ""),
    ] {
        let before = rows.ids("pingbacks");
        let reply = server.ask(&forwarded(&ping("traveller"), address));
        let sent = reply.json()["messages"].as_array().unwrap().clone();
        assert_eq!(
            sent.iter().map(|message| message["msg_id"].as_str().unwrap()).collect::<Vec<_>>(),
            messages,
            "{address}"
        );
        let after = rows.ids("pingbacks");
        let row = rows.one("pingbacks", "id", (&after - &before).first().unwrap());
        assert_eq!(row["mode"], mode, "{address}");
    }
}

/// Without `geoip.database` and without a trusted proxy.
#[test]
fn nothing_is_looked_up_without_a_database_or_behind_a_proxy_that_is_not_trusted() {
    let server = Setup::sqlite().set("http.trusted_proxies=[127.0.0.0/8]").start();
    assert_eq!(country(&server), "");
    let counted = ["found", "unknown", "reserved", "failed"].map(|result| lookups(&server, result).unwrap());
    assert_eq!(counted, ["0"; 4]);
    assert_eq!([REJECTED, BUILT].map(|series| server.metric(series).unwrap()), ["0", "0"]);
    let hints = server.log.text().matches("scripts/geoip").count();
    assert_eq!(hints, 1, "{}", server.log.text());
    server.assert_well();

    let setup = Setup::sqlite();
    let database = setup.folder().join("countries.mmdb");
    fs::write(&database, one("TZ", 1)).unwrap();
    let server = setup.set(&format!("geoip.database={}", database.display())).start();
    assert_eq!((country(&server), lookups(&server, "reserved")), ("".into(), Some("1".into())));
    server.assert_well();
}

/// Replaces the file that the server reads, in one of three ways.
fn replace(file: &Path, number: usize, bytes: &[u8]) {
    let beside = file.with_extension(format!("{number}"));
    match number % 3 {
        0 => {
            fs::write(&beside, bytes).unwrap();
            fs::rename(&beside, file).unwrap();
        }
        1 => {
            // As kubelet swaps what is mounted.
            let link = file.with_extension("link");
            fs::write(&beside, bytes).unwrap();
            symlink(&beside, &link).unwrap();
            fs::rename(&link, file).unwrap();
        }
        _ => {
            // As `cp` over it, which follows the link.
            let mut written = fs::OpenOptions::new().write(true).truncate(true).open(file).unwrap();
            for part in bytes.chunks(64) {
                written.write_all(part).unwrap();
            }
        }
    }
}

fn a_swap_under_load_loses_no_ping_and_mixes_nothing(setup: &Setup) {
    const SWAPS: usize = 6;
    let database = setup.folder().join("countries.mmdb");
    fs::write(&database, one("TZ", 1)).unwrap();
    let server = behind_a_proxy(setup, &database).start();
    let (is_over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for sender in 0..4 {
            let (server, is_over, sent) = (&server, &is_over, &sent);
            scope.spawn(move || {
                let mut connection = server.connect();
                while !is_over.load(Ordering::Relaxed) {
                    let instance = format!("{sender}-{}", sent.fetch_add(1, Ordering::Relaxed));
                    assert_eq!(connection.ask(&forwarded(&ping(&instance), ADDRESS)).status, 200);
                }
            });
        }
        let swap = |number: usize| {
            let before = sent.load(Ordering::Relaxed);
            eventually("pings arrive", || (sent.load(Ordering::Relaxed) > before + 20).then_some(()));
            let built = number + 2;
            replace(&database, number, &one(["KE", "TZ"][number % 2], built as u64));
            wait_for(&server, BUILT, &built.to_string());
        };
        // The others would go on for ever after a panic.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..SWAPS).for_each(swap)));
        is_over.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    let rows = Rows::open(&setup.url).all("pingbacks");
    assert_eq!(rows.len(), sent.load(Ordering::Relaxed));
    let of = |country: &str| rows.iter().filter(|row| row["country"] == country).count();
    let counted = [of("TZ"), of("KE")];
    assert_eq!(counted[0] + counted[1], rows.len(), "a row has another country");
    assert!(counted.iter().all(|count| *count >= 20), "the swaps did not happen during the load: {counted:?}");
    assert_eq!((server.metric(REJECTED).unwrap().as_str(), rejections(&server)), ("0", 0), "{}", server.log.text());
    server.assert_well();
}

#[test]
fn a_broken_file_keeps_the_last_good_one() {
    let setup = Setup::sqlite();
    let database = setup.folder().join("countries.mmdb");
    fs::write(&database, one("TZ", 1)).unwrap();
    let server = behind_a_proxy(&setup, &database).start();
    assert_eq!((country(&server), server.metric(REJECTED)), ("TZ".into(), Some("0".into())));
    let new = one("KE", 2);
    let providers = Mmdb::new().network("41.0.0.0/8", json!({"autonomous_system_number": 33_765})).bytes();
    // Each problem is reported once.
    for (count, broken) in [(1, &new[..new.len() / 2]), (2, &providers), (3, b"<!doctype html>")] {
        fs::write(&database, broken).unwrap();
        eventually("the file is rejected", || (rejections(&server) == count).then_some(()));
        assert_eq!((country(&server), server.metric(REJECTED)), ("TZ".into(), Some("1".into())), "{count}");
        assert_eq!(server.metric(BUILT).as_deref(), Some("1"), "the age of what is in use");
    }
    fs::remove_file(&database).unwrap();
    eventually("the missing file is rejected", || (rejections(&server) == 4).then_some(()));
    assert_eq!(country(&server), "TZ");
    fs::write(&database, &new).unwrap();
    wait_for(&server, REJECTED, "0");
    assert_eq!((country(&server), server.metric(BUILT)), ("KE".into(), Some("2".into())));
    assert_eq!(rejections(&server), 4);
    server.assert_well();
}

#[test]
fn a_missing_or_broken_file_does_not_prevent_a_start() {
    for content in [None, Some("no database")] {
        let setup = Setup::sqlite();
        let database = setup.folder().join("countries.mmdb");
        if let Some(content) = content {
            fs::write(&database, content).unwrap();
        }
        let server = behind_a_proxy(&setup, &database).start();
        assert_eq!((country(&server), rejections(&server)), ("".into(), 1), "{content:?}");
        assert_eq!([REJECTED, BUILT].map(|series| server.metric(series).unwrap()), ["1", "0"], "{content:?}");
        fs::write(&database, one("TZ", 1)).unwrap();
        wait_for(&server, REJECTED, "0");
        assert_eq!(country(&server), "TZ", "{content:?}");
        server.assert_well();
    }
}

#[test]
fn the_key_is_live() {
    let setup = Setup::sqlite();
    let file = |name: &str| setup.folder().join(name);
    let config = file("config.yaml");
    let configure = |path: Option<PathBuf>| {
        let section = path.map(|path| format!("geoip: {{database: {}}}", path.display())).unwrap_or_default();
        fs::write(&config, format!("http: {{trusted_proxies: [127.0.0.0/8]}}\n{section}\n")).unwrap();
    };
    fs::write(file("a.mmdb"), one("TZ", 1)).unwrap();
    fs::write(file("b.mmdb"), one("KE", 2)).unwrap();
    configure(None);
    let server = setup.clone().config(&config).start();
    assert_eq!(country(&server), "");
    for (name, built, expected) in [("a.mmdb", "1", "TZ"), ("b.mmdb", "2", "KE")] {
        configure(Some(file(name)));
        wait_for(&server, BUILT, built);
        assert_eq!(country(&server), expected);
    }
    configure(Some(file("nowhere.mmdb")));
    wait_for(&server, REJECTED, "1");
    assert_eq!(country(&server), "KE");
    configure(None);
    wait_for(&server, BUILT, "0");
    assert_eq!((country(&server), server.metric(REJECTED)), ("".into(), Some("0".into())));
    server.assert_well();
}
