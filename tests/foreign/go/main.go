// go-zookeeper, a Go client: main HOST:PORT. What it prints is for the test that runs it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

const patience = 30 * time.Second

var open = zk.WorldACL(zk.PermAll)

func ok(what ...any) {
	fmt.Println(append([]any{"OK"}, what...)...)
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func connect(server string) *zk.Conn {
	conn, events, err := zk.Connect([]string{server}, 20*time.Second, zk.WithLogInfo(false))
	check(err)
	deadline := time.After(patience)
	for {
		select {
		case event := <-events:
			if event.State == zk.StateHasSession {
				return conn
			}
		case <-deadline:
			panic("no session")
		}
	}
}

func next(events <-chan zk.Event) string {
	select {
	case event := <-events:
		check(event.Err)
		return fmt.Sprint(event.Type, " ", event.Path)
	case <-time.After(patience):
		panic("no event")
	}
}

// drop: the test resets every connection of the server, then answers.
func drop(stdin *bufio.Reader) {
	fmt.Println("ASK drop")
	if must(stdin.ReadString('\n')) != "done\n" {
		panic("the test is gone")
	}
}

func znodes(conn *zk.Conn) {
	ok("create", must(conn.Create("/go", []byte("1"), 0, open)))
	ok("set", must(conn.Set("/go", []byte("22"), 0)).Version)
	data, stat, err := conn.Get("/go")
	check(err)
	ok("get", string(data), stat.Version, stat.DataLength)
	_, err = conn.Set("/go", nil, 7)
	ok("bad-version", errors.Is(err, zk.ErrBadVersion))
	_, err = conn.Create("/go", nil, 0, open)
	ok("exists", errors.Is(err, zk.ErrNodeExists))
	_, _, err = conn.Get("/none")
	ok("no-node", errors.Is(err, zk.ErrNoNode))
	for i := 0; i < 2; i++ {
		ok("sequence", must(conn.Create("/go/q-", nil, zk.FlagSequence, open)))
	}
	ok("not-empty", errors.Is(conn.Delete("/go", -1), zk.ErrNotEmpty))
	ok("container", must(conn.CreateContainer("/go/box", nil, zk.FlagContainer, open)))
	names, stat, err := conn.Children("/go")
	check(err)
	sort.Strings(names)
	ok("children", names, stat.NumChildren)
	ok("sync", must(conn.Sync("/go")))
}

func watches(one, two *zk.Conn) {
	_, _, created, err := one.ExistsW("/go/w")
	check(err)
	must(two.Create("/go/w", nil, 0, open))
	ok("watch", next(created))
	_, _, changed, err := one.GetW("/go/w")
	check(err)
	must(two.Set("/go/w", []byte("1"), -1))
	ok("watch", next(changed))
	_, _, children, err := one.ChildrenW("/go/w")
	check(err)
	must(two.Create("/go/w/c", nil, 0, open))
	ok("watch", next(children))
}

func multi(conn *zk.Conn) {
	results := must(conn.Multi(
		&zk.CreateRequest{Path: "/go/m", Data: []byte("1"), Acl: open},
		&zk.SetDataRequest{Path: "/go/m", Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: "/go/m", Version: 1},
		&zk.DeleteRequest{Path: "/go/w/c", Version: -1},
	))
	ok("multi", len(results), results[0].String, results[1].Stat.Version)
	results, err := conn.Multi(
		&zk.DeleteRequest{Path: "/go/m", Version: -1},
		&zk.CheckVersionRequest{Path: "/go/m", Version: 9},
	)
	exists, _, _ := conn.Exists("/go/m")
	ok("rollback", err, len(results), exists)
}

func sessions(conn *zk.Conn, server string) {
	other := connect(server)
	must(other.Create("/go/e", nil, zk.FlagEphemeral, open))
	exists, stat, gone, err := conn.ExistsW("/go/e")
	check(err)
	ok("owner", exists, stat.EphemeralOwner == other.SessionID())
	other.Close()
	ok("closed", next(gone))
}

func acl(conn *zk.Conn, server string) {
	owner := connect(server)
	check(owner.AddAuth("digest", []byte("ann:secret")))
	must(owner.Create("/go/private", []byte("p"), 0, zk.DigestACL(zk.PermAll, "ann", "secret")))
	list, _, err := owner.GetACL("/go/private")
	check(err)
	ok("acl", list)
	_, _, err = conn.Get("/go/private")
	ok("no-auth", errors.Is(err, zk.ErrNoAuth))
	must(owner.SetACL("/go/private", zk.WorldACL(zk.PermRead), 0))
	data, _, err := conn.Get("/go/private")
	check(err)
	ok("readable", string(data))
	lock := zk.NewLock(conn, "/go/lock", open)
	check(lock.Lock())
	check(lock.Unlock())
	ok("lock")
	owner.Close()
}

func reconnect(one, two *zk.Conn) {
	session := one.SessionID()
	must(one.Create("/go/mine", nil, zk.FlagEphemeral, open))
	_, _, changed, err := one.GetW("/go/w")
	check(err)
	drop(bufio.NewReader(os.Stdin))
	again := func(work func() error) {
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			err := work()
			if err == nil {
				return
			}
			if time.Now().After(end) {
				panic(err)
			}
		}
	}
	again(func() error {
		exists, _, err := one.Exists("/go/mine")
		if err == nil && !exists {
			panic("the session is gone")
		}
		return err
	})
	ok("reconnect", one.SessionID() == session)
	again(func() error {
		_, err := two.Set("/go/w", []byte("after"), -1)
		return err
	})
	ok("rewatched", next(changed))
}

func main() {
	server := os.Args[1]
	one, two := connect(server), connect(server)
	ok("session", strings.Contains(one.State().String(), "HasSession"))
	znodes(one)
	watches(one, two)
	multi(one)
	sessions(one, server)
	acl(one, server)
	reconnect(one, two)
	one.Close()
	two.Close()
	ok("closed")
}
