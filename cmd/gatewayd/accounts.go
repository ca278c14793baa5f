package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/domain/boltstore"
)

// loadAccounts reads the people who may watch. One that cannot be read is left out:
// he cannot get in, and the others can.
func loadAccounts(store *boltstore.Store, log *slog.Logger) (*account.Book, error) {
	rows := map[string]account.Row{}
	if err := boltstore.LoadUsers(store, func(name string, r account.Row) { rows[name] = r }); err != nil {
		return nil, err
	}
	book, err := account.NewBook(store, rows)
	if err != nil {
		log.Error("user left out", "err", err)
	}
	return book, nil
}

// listUsers answers GET.
func (c *control) listUsers(*http.Request) ([]api.User, error) {
	all := []api.User{}
	for _, a := range c.accounts.List() {
		all = append(all, api.User{Name: a.Name, Role: a.Role.String()})
	}
	return all, nil
}

// maxUserBody bounds what is said of one user.
const maxUserBody = 4 << 10

// userBody reads what is said of a user.
func userBody(r *http.Request, v any) error {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxUserBody))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return badRequest{fmt.Errorf("user: %w", err)}
	}
	return nil
}

func (c *control) addUser(r *http.Request) ([]api.User, error) {
	var in api.NewUser
	if err := userBody(r, &in); err != nil {
		return nil, err
	}
	role, err := account.ParseRole(in.Role)
	if err != nil {
		return nil, badRequest{err}
	}
	return c.changed(r, c.accounts.Add(r.PathValue("name"), role, domain.Secret(in.Password)))
}

func (c *control) changeUser(r *http.Request) ([]api.User, error) {
	var in api.UserChange
	if err := userBody(r, &in); err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	if in.Role != "" {
		role, err := account.ParseRole(in.Role)
		if err != nil {
			return nil, badRequest{err}
		}
		if err := c.accounts.SetRole(name, role); err != nil {
			return c.changed(r, err)
		}
	}
	if in.Password != "" {
		return c.changed(r, c.accounts.SetPassword(name, domain.Secret(in.Password)))
	}
	return c.changed(r, nil)
}

func (c *control) removeUser(r *http.Request) ([]api.User, error) {
	return c.changed(r, c.accounts.Remove(r.PathValue("name")))
}

// changed answers a change once it is durable.
func (c *control) changed(r *http.Request, err error) ([]api.User, error) {
	if err != nil {
		return nil, fmt.Errorf("%.64s: %w", r.PathValue("name"), err)
	}
	if err := c.store.Flush(); err != nil {
		return nil, err
	}
	return c.listUsers(r)
}
