//go:build !race

package manscdp

func raceEnabled() bool { return false }
