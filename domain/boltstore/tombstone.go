package boltstore

import (
	"go.etcd.io/bbolt"

	"districtgateway/domain"
)

// A Login is who we are to an upper, by digest.
type Login struct {
	User     string
	Password domain.Secret
}

// A grave is a tombstone as it is written: here alone the password is.
type grave struct {
	domain.Tombstone
	User     string
	Password string
}

func (s *Store) saveTombstone(t domain.Tombstone) {
	g := grave{Tombstone: t}
	if s.cfg.Login != nil {
		l := s.cfg.Login(t.Peer)
		g.User, g.Password = l.User, string(l.Password)
	}
	s.put(bucketTombstones, string(t.Peer), g)
}

// Logins returns the logins that are kept with tombstones, by upper.
func (s *Store) Logins() (map[domain.Code]Login, error) {
	if err := s.commit(); err != nil {
		return nil, err
	}
	logins := make(map[domain.Code]Login)
	err := s.db.View(func(tx *bbolt.Tx) error {
		return each(s, tx.Bucket(bucketTombstones), func(k string, g grave) {
			logins[domain.Code(k)] = Login{g.User, domain.Secret(g.Password)}
		})
	})
	return logins, err
}
