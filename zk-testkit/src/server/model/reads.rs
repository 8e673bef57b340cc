//! Requests that only look: data, stats, children, ACLs.
//!
//! Must not know frames. One-shot watches that a read asks for are set here, because whether one is set depends on what
//! the read found. Source: protocol.md sections 3.1 and 4.1.

use zk_proto::{
    ErrorCode, OpCode, Permissions,
    jute::{Encode, List, Text},
    multi::{MultiReadRequest, MultiRequest, MultiResponse, MultiResult, ReadOp},
    records::{
        ClientInfo, GetAclResponse, GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse,
        GetDataRequest, GetDataResponse, GetEphemeralsRequest, GetEphemeralsResponse, PathRequest, StatResponse,
        WhoAmIResponse,
    },
};

use super::{ConnId, Model, acl, dispatch::Call, tree::Node, watches::Side};

impl Model {
    /// Whether the opcode was one of a read; then it is answered.
    pub(super) fn dispatch_read(&mut self, call: &Call<'_>) -> bool {
        match call.op {
            OpCode::EXISTS => self.read(call, Self::exists),
            OpCode::GET_DATA => self.read(call, |model, call| {
                let request = call.record::<GetDataRequest<'_>>()?;
                let reply = model.get_data(call.conn, &request.path)?;
                model.watch(call, Side::Data, &request);
                Ok(reply)
            }),
            OpCode::GET_CHILDREN => {
                self.read(call, |model, call| {
                    let (children, _) = model.get_children(call)?;
                    Ok(GetChildrenResponse { children })
                });
            }
            OpCode::GET_CHILDREN2 => {
                self.read(call, |model, call| {
                    let (children, stat) = model.get_children(call)?;
                    Ok(GetChildren2Response { children, stat })
                });
            }
            OpCode::GET_ACL => self.read(call, Self::get_acl),
            OpCode::MULTI_READ => self.multi_read(call),
            OpCode::GET_EPHEMERALS => self.read(call, Self::get_ephemerals),
            OpCode::GET_ALL_CHILDREN_NUMBER => self.read(call, Self::get_all_children_number),
            OpCode::WHO_AM_I => self.read(call, Self::who_am_i),
            _ => return false,
        }
        true
    }

    fn read<T: Encode>(&mut self, call: &Call<'_>, run: impl FnOnce(&mut Self, &Call<'_>) -> Result<T, ErrorCode>) {
        let result = run(self, call);
        self.reply(call, &result);
    }

    /// A znode that the connection may use in one of these ways.
    fn allowed(&self, conn: ConnId, path: &str, wanted: Permissions) -> Result<&Node, ErrorCode> {
        let node = self.node(conn, path).ok_or(ErrorCode::NO_NODE)?;
        if self.may(conn, node, wanted) { Ok(node) } else { Err(ErrorCode::NO_AUTH) }
    }

    fn may(&self, conn: ConnId, node: &Node, wanted: Permissions) -> bool {
        self.conns.get(&conn).is_some_and(|conn| acl::allows(&node.acl, wanted, &conn.identities))
    }

    fn watch(&mut self, call: &Call<'_>, side: Side, request: &GetDataRequest<'_>) {
        if request.watch {
            let (profile, watches) = self.watching(call.conn);
            watches.add(profile, side, &request.path, call.conn);
        }
    }

    /// A watch is set even if there is no such znode: it is for the creation.
    fn exists(&mut self, call: &Call<'_>) -> Result<StatResponse, ErrorCode> {
        let request = call.record::<GetDataRequest<'_>>()?;
        if request.path.contains('\0') {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let node = self.node(call.conn, &request.path);
        let hidden = |node: &Node| self.config.profile.read_filter && !self.may(call.conn, node, Permissions::READ);
        if node.is_some_and(hidden) {
            return Err(ErrorCode::NO_AUTH);
        }
        let stat = node.map(Node::stat).ok_or(ErrorCode::NO_NODE);
        self.watch(call, Side::Data, &request);
        stat.map(|stat| StatResponse { stat })
    }

    fn get_data(&self, conn: ConnId, path: &str) -> Result<GetDataResponse, ErrorCode> {
        let node = self.allowed(conn, path, Permissions::READ)?;
        Ok(GetDataResponse { data: node.data.clone(), stat: node.stat() })
    }

    fn get_children(&mut self, call: &Call<'_>) -> Result<(List<'static, Text>, zk_proto::Stat), ErrorCode> {
        let request = call.record::<GetDataRequest<'_>>()?;
        let node = self.allowed(call.conn, &request.path, Permissions::READ)?;
        let reply = (names(node), node.stat());
        self.watch(call, Side::Child, &request);
        Ok(reply)
    }

    fn get_acl(&mut self, call: &Call<'_>) -> Result<GetAclResponse, ErrorCode> {
        let request = call.record::<PathRequest<'_>>()?;
        let node = self.allowed(call.conn, &request.path, Permissions::READ.and(Permissions::ADMIN))?;
        let whole = self.may(call.conn, node, Permissions::ADMIN);
        let acl = if whole { node.acl.to_vec() } else { acl::masked(&node.acl) };
        Ok(GetAclResponse { acl: acl.into(), stat: node.stat() })
    }

    /// Each read succeeds or fails by itself; nobody looks at their watch flags. Writes can be read, and are then
    /// refused with a list of results, which is empty.
    fn multi_read(&mut self, call: &Call<'_>) {
        if call.record::<MultiRequest<'_>>().is_ok_and(|writes| !writes.ops.is_empty()) {
            return self.reply_with_body(call, ErrorCode::MARSHALLING_ERROR, &MultiResponse::default());
        }
        self.read(call, |model, call| {
            let request = call.record::<MultiReadRequest<'_>>()?;
            let one = |op: &ReadOp<'_>| match op {
                ReadOp::GetData(read) => model.get_data(call.conn, &read.path).map(MultiResult::GetData),
                ReadOp::GetChildren(read) => {
                    let node = model.allowed(call.conn, &read.path, Permissions::READ)?;
                    Ok(MultiResult::GetChildren(names(node)))
                }
            };
            let results = request.ops.iter().map(|op| one(&op).unwrap_or_else(MultiResult::Error)).collect();
            Ok(MultiResponse { results })
        });
    }

    /// The prefix is one of the text, not of path components. Java's `trim` takes control characters for spaces.
    fn get_ephemerals(&mut self, call: &Call<'_>) -> Result<GetEphemeralsResponse, ErrorCode> {
        let prefix = call.record::<GetEphemeralsRequest<'_>>()?.prefix.unwrap_or_default();
        let is_all = matches!(prefix.trim_matches(|c| c <= ' '), "" | "/");
        let prefix = if is_all { "" } else { &*prefix };
        let own =
            self.tree_of(self.member_of(call.conn)).ephemerals(call.session).filter(|path| path.starts_with(prefix));
        Ok(GetEphemeralsResponse { paths: List::of_texts(own) })
    }

    fn get_all_children_number(&mut self, call: &Call<'_>) -> Result<GetAllChildrenNumberResponse, ErrorCode> {
        let request = call.record::<PathRequest<'_>>()?;
        self.allowed(call.conn, &request.path, Permissions::READ)?;
        let total =
            i32::try_from(self.tree_of(self.member_of(call.conn)).descendants(&request.path)).unwrap_or(i32::MAX);
        Ok(GetAllChildrenNumberResponse { total })
    }

    fn who_am_i(&mut self, call: &Call<'_>) -> Result<WhoAmIResponse, ErrorCode> {
        let identities = self.conns.get(&call.conn).map(|conn| conn.identities.clone());
        let named = |identity| {
            let (scheme, user) = acl::public_name(identity);
            ClientInfo { scheme, user }
        };
        Ok(WhoAmIResponse { identities: identities.iter().flat_map(|all| all.iter()).map(named).collect() })
    }
}

fn names(node: &Node) -> List<'static, Text> {
    List::of_texts(&node.children)
}
