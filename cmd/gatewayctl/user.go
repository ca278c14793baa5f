package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"golang.org/x/term"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func userVerb() *verb {
	return &verb{
		name: "user", args: "[ACTION NAME [ROLE]]", least: 0, most: 3, summary: "who may watch: list, add, role, password, remove",
		about: `Lists the users, or changes one:

add NAME ROLE    makes a user and asks for the password, twice
role NAME ROLE   gives the user another role
password NAME    asks for another password
remove NAME      removes the user

ROLE is viewer, operator or admin. All of them may watch. Operators and admins
move cameras with a browser, too, and an admin takes one over from an operator.
There is no user before one is added, and nobody watches by RTSP or with a
browser without being one. A password has 8 to 128 bytes. Where standard input
is not a terminal the password is its first line.
`,
		example: "gatewayctl user add wang viewer\nprintf '%s\\n' \"$PASSWORD\" | gatewayctl user password wang\n",
		run: func(ctx context.Context, c *call) error {
			if len(c.args) == 0 {
				return c.users(ctx)
			}
			return c.changeUser(ctx, c.args[0], c.args[1:])
		},
	}
}

func (c *call) users(ctx context.Context) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	var all []api.User
	if err := c.client.Get(ctx, api.PathUsers, nil, &all); err != nil {
		return err
	}
	return c.show(list(all), func(w io.Writer) error {
		t := table.Table{Head: []string{"NAME", "ROLE"}, None: "there is no user yet: gatewayctl user add NAME ROLE"}
		for _, u := range all {
			t.Add(u.Name, u.Role)
		}
		return t.Write(w)
	})
}

// userArgs tells how many arguments an action takes, and what they are.
func userArgs(action string) (n int, want string) {
	switch action {
	case "add", "role":
		return 2, "NAME ROLE"
	case "password", "remove":
		return 1, "NAME"
	}
	return 0, ""
}

// changeUser performs an action on one user.
func (c *call) changeUser(ctx context.Context, action string, args []string) error {
	n, want := userArgs(action)
	switch {
	case n == 0:
		return usagef("%q: want add, role, password or remove", action)
	case len(args) < n:
		return usagef("%s: want %s", action, want)
	case len(args) > n:
		return usagef("%s: unexpected argument %q", action, args[n])
	}
	name := args[0]
	c.what, c.args = "user "+action+" "+name, []string{name}
	var password string
	if action == "add" || action == "password" {
		var err error
		if password, err = c.askPassword(name); err != nil {
			return err
		}
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	var all []api.User
	path, done, err := api.PathUsers+url.PathEscape(name), "", error(nil)
	switch action {
	case "add":
		done, err = "added as "+args[1], c.client.Post(ctx, path, encoded(api.NewUser{Role: args[1], Password: password}), &all)
	case "role":
		done, err = "is "+args[1]+" now", c.client.Put(ctx, path, encoded(api.UserChange{Role: args[1]}), &all)
	case "password":
		done, err = "has another password", c.client.Put(ctx, path, encoded(api.UserChange{Password: password}), &all)
	case "remove":
		done, err = "removed", c.client.Delete(ctx, path, &all)
	}
	if err != nil {
		return err
	}
	return c.show(list(all), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "user %s %s\n", name, done)
		return err
	})
}

// encoded writes plain strings as JSON.
func encoded(v any) []byte {
	text, _ := json.Marshal(v) // plain strings: cannot fail
	return text
}

// Bounds of what is read as a password.
const maxPasswordLine = 1024

// Errors of a password that was typed.
var (
	errNoPassword = errors.New("no password was given")
	errNotTheSame = errors.New("the two passwords differ")
)

// askPassword asks for a new password on the terminal, twice and without showing it;
// where standard input is none, it is the first line of that.
func (c *call) askPassword(name string) (string, error) {
	if f, ok := c.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return c.typePassword(name, func() ([]byte, error) { return term.ReadPassword(int(f.Fd())) })
	}
	line, err := bufio.NewReader(io.LimitReader(c.stdin, maxPasswordLine)).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line != "" {
		return line, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errNoPassword
	}
	return "", err
}

// typePassword asks twice; read takes what is typed without showing it.
func (c *call) typePassword(name string, read func() ([]byte, error)) (string, error) {
	var typed [2]string
	for i, prompt := range []string{"New password of " + name + ": ", "The same again: "} {
		fmt.Fprint(c.stderr, prompt)
		b, err := read()
		fmt.Fprintln(c.stderr)
		if err != nil {
			return "", err
		}
		typed[i] = string(b)
	}
	switch {
	case typed[0] == "":
		return "", errNoPassword
	case typed[0] != typed[1]:
		return "", errNotTheSame
	}
	return typed[0], nil
}
