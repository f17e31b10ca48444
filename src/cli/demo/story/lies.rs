//! What becomes of every lie that the proxy tells.

use tokio::task::block_in_place;

use super::{Keys, Path, ReadsWith, open_session};
use crate::demo::attacks::{Attack, Victims};
use crate::demo::evidence::{After, Told, Try};
use crate::demo::glance::hex;
use crate::demo::lie::Lie;
use crate::demo::world::{Parties, Trouble};

impl Path {
    /// Tells every lie of `attacks` to the phone; then ends the session, opens another, and replays what was kept of
    /// the first. Says under which keys life goes on.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn lies(
        &self,
        attacks: &[Attack],
        parties: &Parties,
        keys: Keys,
    ) -> Result<(Keys, Vec<Told>, After), Trouble> {
        let victims = Victims::among(self.letters);
        let (ended, living): (Vec<_>, Vec<_>) = attacks.iter().partition(|attack| attack.of_ended_session);
        let mut told = Vec::new();
        for attack in living {
            told.push(self.tell(attack, &victims, Some((&parties.phone, &*keys.phone)))?);
        }
        parties.server.end(keys.server.session()).await?;
        let next = open_session(parties).await?;
        self.mail.seal_with(&parties.server, &next.server);
        let phone = Some((&parties.phone, &*next.phone));
        for attack in ended {
            told.push(self.tell(attack, &victims, phone)?);
        }
        let asked = victims.all();
        let after = asked.iter().map(|request| self.pass(request, phone, Lie::None));
        let letters = after.collect::<Result<_, _>>()?;
        let after = After { session: next.session().to_string(), letters };
        Ok((next, told, after))
    }

    fn tell(&self, attack: &Attack, victims: &Victims, phone: ReadsWith<'_>) -> Result<Told, Trouble> {
        let tries = (attack.tries)(victims).into_iter().map(|(request, lie)| {
            let (passage, exchange) = block_in_place(|| self.exchange(&request, phone, lie))?;
            Ok(Try {
                asked: exchange.asked,
                forwarded: exchange.forwarded,
                sent: hex(&exchange.sent),
                given: hex(&exchange.given),
                read: passage.read.map(|read| read.subject),
                refused: passage.refused,
            })
        });
        Ok(Told { lie: attack.name.into(), tries: tries.collect::<Result<_, Trouble>>()? })
    }
}
