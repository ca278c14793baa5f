package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"districtgateway/domain"
)

// A Keeper keeps accounts over restarts. Rows are values of JSON; whoever reads them
// can watch as their users.
type Keeper interface {
	SaveUser(name string, row any)
	ForgetUser(name string)
}

// Errors of a Book.
var (
	ErrUnknown   = errors.New("no such user")
	ErrTaken     = errors.New("there is a user of that name")
	ErrLastAdmin = errors.New("the last admin stays")
	ErrFull      = errors.New("too many users")
	ErrInvalid   = errors.New("not possible")
)

const maxAccounts = 256

// A Book is all accounts. Its methods may be called from any goroutine.
type Book struct {
	keeper Keeper

	hashing sync.Mutex // argon2id takes much memory: one at a time
	mu      sync.RWMutex
	all     map[string]Account
	some    chan struct{} // closed with the first account
}

// A Row is an account as it is kept.
type Row struct {
	Role   string
	Hash   string
	MD5    string
	SHA256 string
}

// NewBook returns a book of what was kept; rows that cannot be read are left out
// and named in the error.
func NewBook(k Keeper, rows map[string]Row) (*Book, error) {
	b := &Book{keeper: k, all: make(map[string]Account, len(rows)), some: make(chan struct{})}
	var faults []error
	for name, r := range rows {
		role, err := ParseRole(r.Role)
		if err = errors.Join(checkName(name), err); err != nil {
			faults = append(faults, fmt.Errorf("user %.40q: %w", name, err))
			continue
		}
		b.enter(Account{name, role, domain.Secret(r.Hash), ha1{domain.Secret(r.MD5), domain.Secret(r.SHA256)}})
	}
	return b, errors.Join(faults...)
}

// enter adds or replaces an account. The caller holds mu, or is alone.
func (b *Book) enter(a Account) {
	b.all[a.Name] = a
	select {
	case <-b.some:
	default:
		close(b.some)
	}
}

// Some is closed once there is an account, or was: before, nobody need be listened to.
func (b *Book) Some() <-chan struct{} { return b.some }

// List returns all accounts by name.
func (b *Book) List() []Account {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]Account, 0, len(b.all))
	for _, a := range b.all {
		list = append(list, a)
	}
	slices.SortFunc(list, func(x, y Account) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// Add makes a new account. Errors: [ErrTaken], [ErrFull], [ErrInvalid].
func (b *Book) Add(name string, role Role, password domain.Secret) error {
	return b.change(name, password, func(old Account, known bool) (Role, error) {
		switch {
		case known:
			return 0, ErrTaken
		case len(b.all) >= maxAccounts:
			return 0, ErrFull
		}
		return role, nil
	})
}

// SetPassword gives an account another password. Errors: [ErrUnknown], [ErrInvalid].
func (b *Book) SetPassword(name string, password domain.Secret) error {
	return b.change(name, password, func(old Account, known bool) (Role, error) {
		if !known {
			return 0, ErrUnknown
		}
		return old.Role, nil
	})
}

// change replaces an account by one with a new password. The hashing is done without
// the lock that all who watch need.
func (b *Book) change(name string, password domain.Secret, judge func(old Account, known bool) (Role, error)) error {
	b.hashing.Lock()
	defer b.hashing.Unlock()
	b.mu.RLock()
	old, known := b.all[name]
	role, err := judge(old, known)
	b.mu.RUnlock()
	if err != nil {
		return err
	}
	a, err := New(name, role, password)
	if err != nil {
		return err
	}
	b.put(a)
	return nil
}

func (b *Book) put(a Account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enter(a)
	b.keeper.SaveUser(a.Name, Row{a.Role.String(), string(a.hash), string(a.ha1.md5), string(a.ha1.sha256)})
}

// SetRole gives an account another role. Errors: [ErrUnknown], [ErrLastAdmin].
func (b *Book) SetRole(name string, role Role) error {
	if err := checkRole(role); err != nil {
		return err
	}
	b.hashing.Lock() // whoever changes an account
	defer b.hashing.Unlock()
	b.mu.RLock()
	a, known := b.all[name]
	last := b.lastAdmin(name)
	b.mu.RUnlock()
	switch {
	case !known:
		return ErrUnknown
	case last && role != Admin:
		return ErrLastAdmin
	}
	a.Role = role
	b.put(a)
	return nil
}

// Remove removes an account. Errors: [ErrUnknown], [ErrLastAdmin] while there are
// others, who would be left without one.
func (b *Book) Remove(name string) error {
	b.hashing.Lock()
	defer b.hashing.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.all[name]; !known {
		return ErrUnknown
	}
	if b.lastAdmin(name) && len(b.all) > 1 {
		return ErrLastAdmin
	}
	delete(b.all, name)
	b.keeper.ForgetUser(name)
	return nil
}

// lastAdmin reports whether name is the only admin. The caller holds mu.
func (b *Book) lastAdmin(name string) bool {
	for n, a := range b.all {
		if n != name && a.Role == Admin {
			return false
		}
	}
	return b.all[name].Role == Admin
}

// Role returns what a user may do; false: there is no such user.
func (b *Book) Role(name string) (Role, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	a, ok := b.all[name]
	return a.Role, ok
}

// HA1 returns H(A1) of a user in hexadecimal, by the algorithm "MD5" or "SHA-256"
// (RFC 7616 §3.4.2); false: there is no such user or algorithm.
func (b *Book) HA1(name, algorithm string) (domain.Secret, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	a, ok := b.all[name]
	switch {
	case !ok:
	case strings.EqualFold(algorithm, "MD5"):
		return a.ha1.md5, true
	case strings.EqualFold(algorithm, "SHA-256"):
		return a.ha1.sha256, true
	}
	return "", false
}

// Verify returns the role of a user who told a password; false: it is not the right
// one. Unknown names take as long as known ones.
func (b *Book) Verify(name string, password domain.Secret) (Role, bool) {
	b.mu.RLock()
	a, known := b.all[name]
	b.mu.RUnlock()
	if len(password) > maxPassword {
		return 0, false
	}
	if !known {
		a.hash = nobody
	}
	b.hashing.Lock()
	ok := a.verify(password)
	b.hashing.Unlock()
	if !ok || !known {
		return 0, false
	}
	return a.Role, true
}

// nobody is the hash of a password that nobody knows, at the usual cost.
const nobody domain.Secret = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
