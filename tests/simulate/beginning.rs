//! What every world begins with: two enterprises, their gateways, three users and their devices, all paired.

use std::path::PathBuf;
use std::sync::Arc;

use sidekey_protocol::ids::Timestamp;
use sidekey_service::clock::TestClock;

use crate::machine;
use crate::model::Model;
use crate::network::Ask;
use crate::parties::Party;
use crate::serving::{certificate, create};
use crate::world::{Beginning, World};

/// Made once in a process: pairing stretches codes, which takes its time.
pub(crate) fn prepare() -> Beginning {
    let watched = PathBuf::from(std::env::var(machine::FOLDER).unwrap());
    let beside = watched.parent().unwrap().join("beginning");
    std::fs::create_dir(&beside).unwrap();
    let clock = Arc::new(TestClock::at(START));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let certificate = runtime.block_on(certificate(&beside, &clock));
    let (empty, folder) = (beside.join("empty"), beside.join("data"));
    let admin = create(&empty, &clock);
    let parties = vec![Party::administrator(admin)];
    let mut beginning =
        Beginning { folder: empty, certificate, parties, model: Model::default(), now: START };
    let mut world = World::new(&beginning, 0);
    for server in ["mail.example.org", "mail.shop.example"] {
        let name = server.parse().unwrap();
        world.asks(0, Ask::AddServer, Some(serde_json::json!({"name": server})));
        world.settles();
        world.invites(name, None);
        world.settles();
    }
    for (server, user) in PEOPLE {
        world.invites(server.parse().unwrap(), Some(user.parse().unwrap()));
        world.settles();
    }
    world.stopped();
    world.copy_of_data(&folder);
    beginning.folder = folder;
    beginning.parties = world.parties.iter().map(Party::copy).collect();
    beginning.model = world.model.clone();
    beginning.now = world.now();
    beginning
}

const START: Timestamp = Timestamp(1_800_000_000);
const PEOPLE: [(&str, &str); 4] = [
    ("mail.example.org", "ann@example.org"),
    ("mail.example.org", "ann@example.org"),
    ("mail.example.org", "bob@example.org"),
    ("mail.shop.example", "carol@shop.example"),
];
