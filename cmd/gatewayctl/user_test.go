package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPasswordGoesToTheDaemonAndNowhereElse(t *testing.T) {
	for _, tc := range []struct{ args, asked, body string }{
		{"user add wang viewer", "POST /v1/users/wang", `{"role":"viewer","password":"correct horse"}`},
		{"user password wang", "PUT /v1/users/wang", `{"password":"correct horse"}`},
		{"user role wang admin", "PUT /v1/users/wang", `{"role":"admin"}`},
		{"user remove wang", "DELETE /v1/users/wang", ""},
	} {
		f := serve(t, noMedia)
		r := runner{fake: f, stdin: "correct horse\r\nand more\n"}.run(strings.Fields(tc.args)...)
		if r.status != exitGood || strings.Contains(r.out+r.errOut, "horse") {
			t.Errorf("%s: %d, %s%s", tc.args, r.status, r.out, r.errOut)
		}
		if got := <-f.asked; got.line != tc.asked || got.body != tc.body {
			t.Errorf("%s: asked %+v", tc.args, got)
		}
	}
}

func TestUserRefusalsNameTheUser(t *testing.T) {
	r := runner{fake: serve(t, noMedia), stdin: "correct horse\n"}.run("user", "add", "li", "viewer")
	if want := "gatewayctl: user add li: there is a user of that name\n"; r.status != exitFailed || r.errOut != want {
		t.Errorf("%d, %q, want %q", r.status, r.errOut, want)
	}
}

func TestWrongUserCommandsAreTold(t *testing.T) {
	for args, want := range map[string]string{
		"user promote wang":        `"promote": want add, role, password or remove`,
		"user add wang":            "add: want NAME ROLE",
		"user remove wang viewer":  `remove: unexpected argument "viewer"`,
		"user add wang viewer now": "unexpected argument",
	} {
		if r := (runner{fake: serve(t, noMedia)}).run(strings.Fields(args)...); r.status != exitUsage || !strings.Contains(r.errOut, want) {
			t.Errorf("%s: %d, %s", args, r.status, r.errOut)
		}
	}
	r := runner{fake: serve(t, noMedia), stdin: "\n"}.run("user", "password", "wang")
	if r.status != exitFailed || !strings.Contains(r.errOut, "no password was given") {
		t.Errorf("an empty password: %d, %s", r.status, r.errOut)
	}
}

func TestPasswordIsTypedTwice(t *testing.T) {
	broken := errors.New("hung up")
	for _, tc := range []struct {
		typed []string
		want  string
		err   error
	}{
		{[]string{"correct horse", "correct horse"}, "correct horse", nil},
		{[]string{"correct horse", "correct house"}, "", errNotTheSame},
		{[]string{"", ""}, "", errNoPassword},
		{[]string{"correct horse"}, "", broken},
	} {
		c := &call{program: program{stderr: io.Discard}}
		left := tc.typed
		got, err := c.typePassword("wang", func() ([]byte, error) {
			if len(left) == 0 {
				return nil, broken
			}
			b := []byte(left[0])
			left = left[1:]
			return b, nil
		})
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%q: %q, %v", tc.typed, got, err)
		}
	}
}

func TestNameArrivesAsItWasTyped(t *testing.T) {
	r := runner{fake: serve(t, noMedia), stdin: "correct horse\n"}.run("user", "add", "a b/c%2F", "viewer")
	if want := "gatewayctl: user add a b/c%2F: name \"a b/c%2F\": not taken\n"; r.status != exitFailed || r.errOut != want {
		t.Errorf("got %d %q, want %q", r.status, r.errOut, want)
	}
}
