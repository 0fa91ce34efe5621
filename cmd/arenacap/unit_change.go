package main

// This file changes drop-ins for the command unit (--write, --remove) and prints what was changed, also as JSON.

import (
	"strings"

	"github.com/urfave/cli/v2"

	"arenacap/cmd/arenacap/internal/say"
	"arenacap/launcher/unit"
)

// unitChange is the output of --json. Lists are never null; paths are those on this machine, below --root.
type unitChange struct {
	Changed bool     `json:"changed"`
	Needed  *bool    `json:"write_needed"` // whether --write would change a file; null with --write and --remove
	Units   []string `json:"units"`
	Place   *string  `json:"place"` // path of the drop-in; null if there is none to write
	Text    *string  `json:"text"`  // text of the drop-in
	Wrote   []string `json:"wrote"`
	Removed []string `json:"removed"` // earlier drop-ins that the new one replaces
	Renamed []string `json:"renamed"` // the new names of the drop-ins that --remove disabled
	ByHand  []string `json:"by_hand"` // "FILE:LINE" of commands that start through arenacap and were not written by it
	Notes   []string `json:"notes"`
	Next    *string  `json:"next"` // command to type; null if nothing was changed, or if --root is given
}

// tell prints the change as JSON, or as one line for each part of it.
func (u unitChange) tell(c *cli.Context, v say.Voice) error {
	if c.Bool("json") {
		for _, l := range []*[]string{&u.Units, &u.Wrote, &u.Removed, &u.Renamed, &u.ByHand, &u.Notes} {
			*l = list(*l)
		}
		return printJSON(c.App.Writer, u)
	}
	each := func(format string, values []string) {
		for _, value := range values {
			v.Note(format, value)
		}
	}
	each("%s", u.Notes)
	each("wrote the drop-in %s", u.Wrote)
	each("removed the drop-in %s, which the new one replaces", u.Removed)
	each("renamed a drop-in to %s", u.Renamed)
	each("the command at %s starts through arenacap; arenacap did not write that line, so it stays", u.ByHand)
	if u.Next != nil {
		v.Note("now type: %s", *u.Next)
	}
	return nil
}

// The method "next" sets the command to type after a change. It sets none if --root is given, because no manager runs
// below that root.
func (u *unitChange) next(command, root string) {
	if u.Changed && root == "" {
		u.Next = &command
	}
}

// changeOf writes the drop-in, if the argument "write" is true, unless the drop-in is up to date. If write is false,
// changeOf only finds out whether --write would change a file.
func changeOf(u unit.Unit, wish unit.Wish, dropIn unit.DropIn, write bool) (unitChange, error) {
	change := unitChange{Units: []string{u.Name}, Notes: dropIn.Notes}
	if !write {
		change.Needed = new(bool)
	}
	if dropIn.Nothing != "" {
		change.Notes = append(change.Notes, "nothing to do: "+dropIn.Nothing)
		return change, nil
	}
	change.Place, change.Text = &dropIn.Place, &dropIn.Text
	var err error
	if write {
		change.Changed, err = dropIn.Write()
	} else {
		*change.Needed, err = dropIn.Needed()
	}
	if err != nil {
		return change, err
	}
	switch {
	case change.Changed:
		change.Wrote, change.Removed = []string{dropIn.Place}, dropIn.Older
	case write || !*change.Needed:
		change.Notes = append(change.Notes, dropIn.Place+" is up to date")
	}
	change.next(u.Next(), wish.Root)
	return change, nil
}

// removeDropIns runs unit --remove.
func removeDropIns(c *cli.Context) error {
	operand, root, err := removalWish(c)
	if err != nil {
		return err
	}
	r, err := unit.FindRemoval(root, operand)
	if err != nil {
		return err
	}
	change := unitChange{Units: r.Units, ByHand: r.ByHand}
	if change.Renamed, err = r.Do(); err != nil {
		return err
	}
	change.Changed = len(change.Renamed) > 0
	if !change.Changed {
		change.Notes = []string{"nothing to do: arenacap made no drop-in for " + subject(operand)}
	}
	change.next(r.Next(), root)
	return change.tell(c, speaker(c))
}

func subject(operand string) string {
	if operand == "" {
		return "any service"
	}
	return quote(operand)
}

// removalWish returns the operand of --remove, "" for --all, and the root.
func removalWish(c *cli.Context) (operand, root string, err error) {
	for _, name := range []string{"write", "supervise", "path", "policy", "service"} {
		if _, given := lineOf(c).Text(name); given || c.IsSet(name) {
			return "", "", say.Usage("unit", "--remove and --"+name+" exclude each other")
		}
	}
	switch all := c.Bool("all"); {
	case all && c.NArg() > 0:
		return "", "", say.Usage("unit", "--all and a NAME exclude each other")
	case !all && c.NArg() != 1:
		return "", "", say.Usage("unit", "--remove takes one NAME or FILE, or --all")
	case !all && strings.TrimSpace(c.Args().First()) == "":
		return "", "", say.Usage("unit", "the NAME is empty; --all removes the drop-ins of all services")
	}
	if c.IsSet("root") {
		if root, err = rootFolder(c.String("root")); err != nil {
			return "", "", badFlag(c, "root", err)
		}
	}
	return c.Args().First(), root, nil
}
