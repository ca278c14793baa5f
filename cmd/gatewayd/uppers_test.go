package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/domain/boltstore"
)

// TestUpperIsLeftAndJoinedOnTheWire: by the control interface and over SIP, and over
// restarts of the district.
func TestUpperIsLeftAndJoinedOnTheWire(t *testing.T) {
	city := launch(t, stateDir(t), cityCode, fmt.Sprintf("[[lower]]\nid = %q\npassword = \"hidden-1\"\n", districtCode))
	defer city.stop()
	dir, table := stateDir(t), fmt.Sprintf("[[upper]]\nid = %q\naddress = %q\npassword = \"hidden-1\"\n", cityCode, city.sip)
	district := launch(t, dir, districtCode, table)
	district.join()
	left, err := district.client.Leave(t.Context(), api.LeaveRequest{Upper: cityCode, For: time.Minute})
	if err != nil || left.State != "left" || left.Reason != "the upper agreed" {
		t.Errorf("%+v, %v", left, err)
	}
	if p := city.peer(); p.State != "idle" || p.Reason != "left" {
		t.Errorf("the city holds %+v", p)
	}
	district.stop()

	before := city.gateway.sip.Stats()
	district = launch(t, dir, districtCode, table)
	if p := district.peer(); p.State != "left" || p.Reason != left.Reason || !p.Since.Equal(left.Since) {
		t.Errorf("after a restart %+v, before it %+v", p, left)
	}
	var s api.Status
	if err := district.client.Get(t.Context(), api.PathStatus, nil, &s); err != nil || s.Health != "good" {
		t.Errorf("health %q, %v: an operator's decision is no fault", s.Health, err)
	}
	district.stop()
	if after := city.gateway.sip.Stats(); after != before {
		t.Errorf("it spoke to the upper it had left: %+v, before %+v", after, before)
	}

	district = launch(t, dir, districtCode, table)
	district.join()
	await(t, "the district is back", func() bool { return city.peer().State == "online" })
	district.stop()
}

// TestTombstoneAuthenticatesWithoutItsTable: an upper that was left and holds us still
// is told so with the password that the tombstone keeps.
func TestTombstoneAuthenticatesWithoutItsTable(t *testing.T) {
	city := launch(t, stateDir(t), cityCode, fmt.Sprintf("[[lower]]\nid = %q\npassword = \"hidden-1\"\n", districtCode))
	defer city.stop()
	dir := stateDir(t)
	district := launch(t, dir, districtCode, fmt.Sprintf("[[upper]]\nid = %q\naddress = %q\npassword = \"hidden-1\"\n", cityCode, city.sip))
	district.join()
	district.stop() // going down: the city keeps it
	if p := city.peer(); p.State != "offline" || p.Reason != "deregistered" {
		t.Fatalf("the city holds %+v", p)
	}
	bury(t, dir, city.sip)
	district = launch(t, dir, districtCode, "")
	defer district.stop()
	if p := district.peer(); p.Code != cityCode || p.State != "left" {
		t.Errorf("%+v", p)
	}
	if _, err := district.client.Leave(t.Context(), api.LeaveRequest{Upper: cityCode}); status(err) != http.StatusNotFound {
		t.Errorf("leaving without a table: %v", err)
	}
	if err := district.client.Post(t.Context(), api.PathJoin+cityCode, nil, nil); status(err) != http.StatusNotFound {
		t.Errorf("joining without a table: %v", err)
	}
	district.post(domain.KeepaliveIn{Origin: domain.Origin{From: cityCode, Address: "udp:" + city.sip}})
	await(t, "the city forgets the district", func() bool { return city.peer().State == "idle" && city.peer().Reason == "left" })
	if n := city.gateway.sip.Stats().Failed; n != 0 {
		t.Errorf("%d wrong passwords", n)
	}
}

// status returns the status of a refusal.
func status(err error) int {
	if e := (*api.Error)(nil); errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// bury writes the tombstone of a city that was left by force into a state file.
func bury(t *testing.T, dir, address string) {
	t.Helper()
	s, err := boltstore.Open(boltstore.Config{Path: filepath.Join(dir, "state.db"),
		Login: func(domain.Code) boltstore.Login { return boltstore.Login{User: districtCode, Password: "hidden-1"} }})
	if err != nil {
		t.Fatal(err)
	}
	s.Save(domain.SaveTombstone{Tombstone: domain.Tombstone{Peer: cityCode, Address: address, Left: time.Now(), Force: true}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestTombstoneFollowsTheFileWhileItsTableIsThere: a password that changed is kept as
// it is now; what makes no sense does not keep the daemon from starting.
func TestTombstoneFollowsTheFileWhileItsTableIsThere(t *testing.T) {
	file := config.File{Server: config.Server{ID: districtCode}, Uppers: []config.Upper{{ID: cityCode, Password: "hidden-2"}}}
	s, err := boltstore.Open(boltstore.Config{Path: filepath.Join(t.TempDir(), "state.db"), Login: loginAt(file)})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{file: file, store: s, log: slog.New(slog.DiscardHandler)}
	const orphan = "33000000002000000001"
	state := domain.State{Tombstones: []domain.Tombstone{{Peer: cityCode, Address: "192.0.2.1:5060"},
		{Peer: orphan, Address: "192.0.2.2:5060", Transport: "tcp"}, {Peer: "x", Address: "192.0.2.3:5060"},
		{Peer: orphan, Address: "nowhere"}, {Peer: orphan, Address: "192.0.2.4:5060", Transport: "x"}, {Peer: districtCode, Address: "192.0.2.5:5060"}}}
	former, err := g.formerUppers(&state)
	if err != nil || len(former) != 1 || former[0].Code != orphan || former[0].Address != "192.0.2.2:5060" || former[0].Transport != "tcp" {
		t.Errorf("%v, %v", former, err)
	}
	if len(state.Tombstones) != 2 {
		t.Errorf("%+v", state.Tombstones)
	}
	logins, err := s.Logins()
	if want := (boltstore.Login{User: districtCode, Password: "hidden-2"}); err != nil || len(logins) != 1 || logins[cityCode] != want {
		t.Errorf("%d logins, %v", len(logins), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}
