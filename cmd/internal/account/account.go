// Package account keeps the people who may watch: their names, what each may do, and
// what proves that it is them. It knows no protocol; whoever serves people asks it.
//
// A password itself is never kept. What is kept of it:
//
//   - a hash by argon2id (RFC 9106), for whoever is told the password;
//   - H(A1) of digest authentication (RFC 7616 §3.4.2) in the realm [Realm], by MD5
//     and SHA-256, since digest proves a password without telling it. Whoever reads
//     these can watch as that user, so they are of type [domain.Secret] and kept where only
//     the daemon reads.
//
// There is no account before somebody makes one, and none with a known password.
package account

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"districtgateway/domain"
)

// Realm is the realm of digest authentication. It is a part of what is kept of a
// password, and so can never change.
const Realm = "District Gateway"

// A Role is what a user may do. Each may do what the one before it may.
type Role uint8

// The roles.
const (
	Viewer   Role = iota + 1 // watches
	Operator                 // moves cameras; is to acknowledge alarms
	Admin                    // is to change settings and users
)

var roleNames = [...]string{"none", "viewer", "operator", "admin"}

// String returns "viewer", "operator" or "admin".
func (r Role) String() string { return roleNames[min(int(r), len(roleNames)-1)%len(roleNames)] }

// ParseRole reads what String writes.
func ParseRole(s string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if s == r.String() {
			return r, nil
		}
	}
	return 0, fmt.Errorf("role %.32q: want viewer, operator or admin", s)
}

// An Account is one user.
type Account struct {
	Name string
	Role Role
	hash domain.Secret // argon2id, in the usual notation: $argon2id$v=19$m=…,t=…,p=…$salt$key
	ha1  ha1
}

// Format writes name and role, whatever the verb: what proves a user is not printed,
// and package fmt does not ask fields that are not exported.
func (a Account) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s (%s)", a.Name, a.Role) }

// LogValue is as Format.
func (a Account) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(a)) }

// ha1 is H(A1) in hexadecimal, by each hash function.
type ha1 struct{ md5, sha256 domain.Secret }

// Bounds of names and passwords, in bytes.
const (
	maxName       = 32
	leastPassword = 8
	maxPassword   = 128
)

// Cost of argon2id: the least that OWASP names, since a small box has to afford it.
const (
	argonTime   = 2
	argonMemory = 19 << 10 // KiB
	argonLanes  = 1
	argonKey    = 32
)

// New makes an account. The error is [ErrInvalid] and says what is wrong with name,
// role or password.
func New(name string, role Role, password domain.Secret) (Account, error) {
	a := Account{Name: name, Role: role}
	err := errors.Join(checkName(name), checkRole(role), checkPassword(name, string(password)))
	if err != nil {
		return Account{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var salt [16]byte
	rand.Read(salt[:])
	a.hash = hashed(string(password), salt[:])
	a1 := name + ":" + Realm + ":" + string(password)
	m, s := md5.Sum([]byte(a1)), sha256.Sum256([]byte(a1))
	a.ha1 = ha1{domain.Secret(hex.EncodeToString(m[:])), domain.Secret(hex.EncodeToString(s[:]))}
	return a, nil
}

// checkName wants a name that can stand in a header, an address and a file.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("name: want 1 to %d bytes", maxName)
	}
	for _, r := range name {
		if !(r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("-_.@", r)) {
			return fmt.Errorf("name %q: want letters, digits and - _ . @", name)
		}
	}
	return nil
}

func checkRole(r Role) error {
	if r < Viewer || r > Admin {
		return errors.New("role: want viewer, operator or admin")
	}
	return nil
}

func checkPassword(name, password string) error {
	switch {
	case len(password) < leastPassword || len(password) > maxPassword:
		return fmt.Errorf("password: want %d to %d bytes", leastPassword, maxPassword)
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("password: want characters that can be typed")
	case strings.EqualFold(password, name):
		return errors.New("password: want another one than the name")
	}
	return nil
}

func hashed(password string, salt []byte) domain.Secret {
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	e := base64.RawStdEncoding
	return domain.Secret(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		e.EncodeToString(salt), e.EncodeToString(key)))
}

// verify reports whether password is the account's. It takes 19 MiB and some tenths
// of a second of a small box.
func (a *Account) verify(password domain.Secret) bool {
	var version, memory, time int
	var lanes uint8
	head, key, ok := cutLast(string(a.hash))
	head, salt, ok2 := cutLast(head)
	if _, err := fmt.Sscanf(head, "$argon2id$v=%d$m=%d,t=%d,p=%d", &version, &memory, &time, &lanes); err != nil || !ok || !ok2 {
		return false
	}
	s, err := base64.RawStdEncoding.DecodeString(salt)
	want, err2 := base64.RawStdEncoding.DecodeString(key)
	if err != nil || err2 != nil || version != argon2.Version || lanes == 0 || time <= 0 || memory <= 0 || len(want) == 0 {
		return false
	}
	got := argon2.IDKey([]byte(string(password)), s, uint32(time), uint32(memory), lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// cutLast cuts s at its last dollar sign.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '$')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
