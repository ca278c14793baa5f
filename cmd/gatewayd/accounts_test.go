package main

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"districtgateway/domain/boltstore"
)

// askUsers asks a control interface over a state file, opened anew each time.
func askUsers(t *testing.T, state, method, path, body string) (status int, answer string) {
	t.Helper()
	store, err := boltstore.Open(boltstore.Config{Path: state})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	book, err := loadAccounts(store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	(&control{accounts: book, store: store}).routes().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestUsersAreKeptOverARestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	for _, step := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", "/v1/users/", "", 200, `[]`},
		{"POST", "/v1/users/li", `{"role":"admin","password":"correct horse"}`, 200, `[{"name":"li","role":"admin"}]`},
		{"GET", "/v1/users/", "", 200, `[{"name":"li","role":"admin"}]`},
		{"POST", "/v1/users/li", `{"role":"viewer","password":"correct horse"}`, 409, "li: there is a user of that name"},
		{"POST", "/v1/users/wang", `{"role":"king","password":"correct horse"}`, 400, "want viewer, operator or admin"},
		{"POST", "/v1/users/wang", `{"role":"viewer","password":"short"}`, 400, "password: want 8 to 128 bytes"},
		{"POST", "/v1/users/wang", `{"role":`, 400, "unexpected end of JSON"},
		{"POST", "/v1/users/wang", `"` + strings.Repeat("x", maxUserBody) + `"`, 400, "too large"},
		{"POST", "/v1/users/wang", `{"role":"viewer","password":"correct horse"}`, 200, `[{"name":"li","role":"admin"},{"name":"wang","role":"viewer"}]`},
		{"PUT", "/v1/users/wang", `{"role":"operator","password":"battery staple"}`, 200, `{"name":"wang","role":"operator"}`},
		{"PUT", "/v1/users/zhao", `{"role":"operator"}`, 404, "zhao: no such user"},
		{"PUT", "/v1/users/li", `{"role":"operator"}`, 409, "the last admin stays"},
		{"DELETE", "/v1/users/wang", "", 200, `[{"name":"li","role":"admin"}]`},
		{"DELETE", "/v1/users/li", "", 200, `[]`},
		{"GET", "/v1/users/", "", 200, `[]`},
	} {
		status, answer := askUsers(t, state, step.method, step.path, step.body)
		if status != step.status || !strings.Contains(answer, step.answer) {
			t.Errorf("%s %s %.60s: %d %s", step.method, step.path, step.body, status, answer)
		}
	}
}
