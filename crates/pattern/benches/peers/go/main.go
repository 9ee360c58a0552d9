// The Go engine's line in the table of peers: FOLDER FILE COUNT; prints matches and microseconds an event.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"quamina.net/go/quamina/v2"
)

func main() {
	folder, file := os.Args[1], os.Args[2]
	count, err := strconv.Atoi(os.Args[3])
	check(err)
	events := lines(filepath.Join(folder, "events.jsonl"))
	rules := lines(filepath.Join(folder, file))[:count]
	engine, err := quamina.New()
	check(err)
	for i, rule := range rules {
		check(engine.AddPattern(i, string(rule)))
	}
	best, matches := int64(1)<<62, 0
	for round := 0; round < 5; round++ {
		start := processorTime()
		matches = 0
		for _, event := range events {
			found, err := engine.MatchesForEvent(event)
			check(err)
			matches += len(found)
		}
		best = min(best, processorTime()-start)
	}
	fmt.Printf("%d %.2f\n", matches, float64(best)/1e3/float64(len(events)))
}

// Of the whole process, the garbage collector's threads included, in nanoseconds.
func processorTime() int64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func lines(path string) [][]byte {
	text, err := os.ReadFile(path)
	check(err)
	return bytes.Split(bytes.TrimSpace(text), []byte("\n"))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
