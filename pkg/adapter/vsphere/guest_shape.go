package vsphere

import "strings"

// Files of a run in a guest: a directory that one starter can make, the script's output,
// and its exit code, which appears whole.
const (
	guestBegan  = "began"
	guestOutput = "output"
	guestExit   = "exit"
)

// guestShape is what differs between the kinds of guests.
type guestShape struct {
	temp, separator string
	// run is the name of the starter, script of what it starts.
	run, script string
	// starter is the text of the starter, with these environment variables.
	starter func(env []string) string
	// command runs the starter of a directory.
	command func(dir string) (path, args string)
}

var posixGuest = guestShape{
	temp: "/var/tmp/", separator: "/", run: "run", script: "script",
	starter: func(env []string) string {
		var b strings.Builder
		b.WriteString("cd \"$(dirname \"$0\")\" || exit 1\nmkdir " + guestBegan + " 2>/dev/null || exit 0\n")
		for _, e := range env {
			k, v, _ := strings.Cut(e, "=")
			b.WriteString("export " + k + "='" + strings.ReplaceAll(v, "'", `'\''`) + "'\n")
		}
		b.WriteString("sh ./script >" + guestOutput + " 2>&1 </dev/null\necho $? >" + guestExit + ".new\nmv " + guestExit + ".new " + guestExit + "\n")
		return b.String()
	},
	command: func(dir string) (string, string) { return "/bin/sh", dir + "/run" },
}

var windowsGuest = guestShape{
	temp: `C:\Windows\Temp\`, separator: `\`, run: "run.cmd", script: "script.ps1",
	starter: func(env []string) string {
		lines := []string{"@echo off", `cd /d "%~dp0" || exit /b 1`, "mkdir " + guestBegan + " 2>nul || exit /b 0"}
		for _, e := range env {
			lines = append(lines, `set "`+strings.ReplaceAll(e, "%", "%%")+`"`)
		}
		lines = append(lines,
			"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File script.ps1 >"+guestOutput+" 2>&1 <nul",
			">"+guestExit+".new echo %errorlevel%",
			"move /y "+guestExit+".new "+guestExit+" >nul", "")
		return strings.Join(lines, "\r\n")
	},
	command: func(dir string) (string, string) {
		return `C:\Windows\System32\cmd.exe`, `/c "` + dir + `\run.cmd"`
	},
}
