//! Keeps the files of `sess` true, for a session that was made with it: they are there while its main process lives.

use session_protocol::Status;
use session_store::{Result, Sess};

use crate::holder::Holder;
use crate::supervision::State;

impl Holder {
    /// Shows the session as it is now, if that is not what is shown.
    pub(crate) fn show_in_sess(&mut self, status: &Status) {
        if self.owned.record().spec.sess.is_none() {
            return;
        }
        // Who waits for it to execute does not wait for this.
        if let State::Starting { .. } = self.supervision.state() {
            return;
        }
        let name = &self.owned.record().name;
        let now = status.pid.map(|pid| (name.clone(), pid));
        if now == self.shown {
            return;
        }
        if let Err(error) = self.try_show(status) {
            self.note(format!("scripts around sess are told old news: {error}"));
        }
        self.shown = now;
    }

    fn try_show(&self, status: &Status) -> Result<()> {
        let directory = self.owned.record().spec.sess.as_ref();
        let directory = directory.map(|path| path.as_os_str().as_ref());
        // One that was deleted is not made again: the next `sess` does that.
        let Some(sess) = directory.map(Sess::open_existing).transpose()?.flatten() else {
            return Ok(());
        };
        if let Some((name, _)) = &self.shown
            && (status.pid.is_none() || *name != self.owned.record().name)
        {
            sess.hide(name.as_str())?;
        }
        sess.show(self.owned.session(), status)
    }
}
