//! The rules of the hierarchy once more, written from the documentation: lists of facts and plain searches, no
//! references, no locks. Whatever can be derived is derived anew each time.

pub(crate) type Number = u32;
pub(crate) type Id = usize;

#[derive(Debug, Default)]
pub(crate) struct Naive {
    pub(crate) processes: Vec<Process>,
    pub(crate) groups: Vec<Group>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) threads: Vec<Thread>,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) number: Number,
    pub(crate) is_root: bool,
    pub(crate) is_zombie: bool,
    pub(crate) is_subreaper: bool,
    pub(crate) has_group_exited: bool,
    pub(crate) exit_code: i32,
    /// Whom it names as its parent.
    named: Option<Id>,
    /// Who has it among the children.
    keeper: Option<Id>,
    place: Place,
    pub(crate) is_held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    In(Id),
    /// It was freed from a group of this number, in a session of this number.
    Freed(Number, Number),
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) number: Number,
    pub(crate) session: Id,
    pub(crate) is_held: bool,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) number: Number,
    pub(crate) is_held: bool,
}

#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) number: Number,
    pub(crate) process: Id,
    has_exited: bool,
    pub(crate) is_held: bool,
}

/// What there is
impl Naive {
    pub(crate) fn lives(&self, process: Id) -> bool {
        let it = &self.processes[process];
        let mut threads = self.threads.iter();
        it.is_held
            || threads.any(|thread| thread.is_held && thread.process == process)
            || it.keeper.is_some_and(|keeper| self.lives(keeper))
    }

    pub(crate) fn group_lives(&self, group: Id) -> bool {
        self.groups[group].is_held || !self.members(group).is_empty()
    }

    pub(crate) fn session_lives(&self, session: Id) -> bool {
        let is_of = |group: &Id| self.groups[*group].session == session;
        self.sessions[session].is_held
            || (0..self.groups.len())
                .filter(is_of)
                .any(|group| self.group_lives(group))
    }

    pub(crate) fn members(&self, group: Id) -> Vec<Id> {
        let is_in = |process: &Id| self.processes[*process].place == Place::In(group);
        let members = (0..self.processes.len()).filter(is_in);
        members.filter(|process| self.lives(*process)).collect()
    }

    pub(crate) fn listed(&self, session: Id) -> Vec<Id> {
        let is_of = |group: &Id| self.groups[*group].session == session;
        let groups = (0..self.groups.len()).filter(is_of);
        groups
            .filter(|group| !self.members(*group).is_empty())
            .collect()
    }

    pub(crate) fn children(&self, process: Id) -> Vec<Id> {
        let is_kept = |child: &Id| self.processes[*child].keeper == Some(process);
        (0..self.processes.len()).filter(is_kept).collect()
    }

    pub(crate) fn parent(&self, process: Id) -> Option<Id> {
        self.processes[process]
            .named
            .filter(|parent| self.lives(*parent))
    }

    /// The group it is in.
    pub(crate) fn group(&self, process: Id) -> Option<Id> {
        match self.processes[process].place {
            Place::In(group) => Some(group),
            Place::Freed(..) => None,
        }
    }

    /// The numbers of its group and its session, those of the last ones if it was freed.
    pub(crate) fn numbers(&self, process: Id) -> (Number, Number) {
        match self.processes[process].place {
            Place::In(group) => (
                self.groups[group].number,
                self.sessions[self.groups[group].session].number,
            ),
            Place::Freed(pgid, sid) => (pgid, sid),
        }
    }

    pub(crate) fn running(&self, process: Id) -> Vec<Id> {
        let runs = |thread: &Id| {
            let it = &self.threads[*thread];
            it.process == process && it.is_held && !it.has_exited
        };
        (0..self.threads.len()).filter(runs).collect()
    }

    fn reaper(&self, process: Id) -> Option<Id> {
        let mut above = self.parent(process);
        while let Some(id) = above {
            let it = &self.processes[id];
            if it.is_root || (it.is_subreaper && !it.is_zombie) {
                break;
            }
            above = self.parent(id);
        }
        above
    }

    fn listed_as(&self, session: Id, number: Number) -> Option<Id> {
        let mut listed = self.listed(session).into_iter();
        listed.find(|group| self.groups[*group].number == number)
    }
}

/// What happens
impl Naive {
    /// A root of its own, held; its group and its session are not.
    pub(crate) fn root(&mut self, number: Number) -> Id {
        let process = self.born(number, None, Place::Freed(0, 0));
        self.processes[process].is_root = true;
        self.found(process);
        process
    }

    pub(crate) fn fork(&mut self, parent: Id, number: Number) -> Id {
        let keeper = match self.processes[parent].is_zombie {
            true => self.reaper(parent),
            false => Some(parent),
        };
        let inherited = self.group(parent).or_else(|| self.group(keeper?));
        let place = inherited.map_or(Place::Freed(0, 0), Place::In);
        // Who has nobody above but is still in a group gives it to nobody: the child founds one.
        let child = self.born(number, keeper, place);
        if keeper.is_none() {
            self.found(child);
        }
        child
    }

    pub(crate) fn exit(&mut self, process: Id) {
        let reaper = self.reaper(process);
        for child in self.children(process) {
            self.processes[child].named = reaper;
            self.processes[child].keeper = reaper;
        }
        self.processes[process].is_zombie = true;
    }

    pub(crate) fn free(&mut self, process: Id) {
        let (pgid, sid) = self.numbers(process);
        self.processes[process].place = Place::Freed(pgid, sid);
        self.processes[process].keeper = None;
    }

    pub(crate) fn create_session(&mut self, process: Id) -> Option<(Id, Id)> {
        let group = self.group(process)?;
        let number = self.processes[process].number;
        let session = self.groups[group].session;
        let leads = self.groups[group].number == number || self.sessions[session].number == number;
        if leads || self.listed_as(session, number).is_some() {
            return None;
        }
        Some(self.found(process))
    }

    pub(crate) fn create_group(&mut self, process: Id) -> Option<Id> {
        let group = self.group(process)?;
        let number = self.processes[process].number;
        if self.groups[group].number == number {
            return None;
        }
        let session = self.groups[group].session;
        let own = match self.listed_as(session, number) {
            Some(listed) => listed,
            None => self.new_group(number, session),
        };
        self.processes[process].place = Place::In(own);
        Some(own)
    }

    pub(crate) fn move_to(&mut self, process: Id, to: Id) -> bool {
        let Some(from) = self.group(process) else {
            return false;
        };
        let (number, session) = (self.groups[to].number, self.groups[to].session);
        let is_replaced = self
            .listed_as(session, number)
            .is_some_and(|listed| listed != to);
        let may = from == to || (self.groups[from].session == session && !is_replaced);
        if may {
            self.processes[process].place = Place::In(to);
        }
        may
    }

    pub(crate) fn new_thread(&mut self, process: Id, number: Number) -> Id {
        self.threads.push(Thread {
            number,
            process,
            has_exited: false,
            is_held: true,
        });
        self.threads.len() - 1
    }

    pub(crate) fn exit_thread(&mut self, thread: Id, code: i32) -> bool {
        let process = self.threads[thread].process;
        if self.threads[thread].has_exited {
            return false;
        }
        self.threads[thread].has_exited = true;
        if !self.processes[process].has_group_exited {
            self.processes[process].exit_code = code;
        }
        self.running(process).is_empty()
    }

    fn born(&mut self, number: Number, parent: Option<Id>, place: Place) -> Id {
        self.processes.push(Process {
            number,
            is_root: false,
            is_zombie: false,
            is_subreaper: false,
            has_group_exited: false,
            exit_code: 0,
            named: parent,
            keeper: parent,
            place,
            is_held: true,
        });
        self.processes.len() - 1
    }

    fn found(&mut self, process: Id) -> (Id, Id) {
        let number = self.processes[process].number;
        self.sessions.push(Session {
            number,
            is_held: false,
        });
        let session = self.sessions.len() - 1;
        let group = self.new_group(number, session);
        self.processes[process].place = Place::In(group);
        (session, group)
    }

    fn new_group(&mut self, number: Number, session: Id) -> Id {
        self.groups.push(Group {
            number,
            session,
            is_held: false,
        });
        self.groups.len() - 1
    }
}
