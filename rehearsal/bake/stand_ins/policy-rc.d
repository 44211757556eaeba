#!/bin/sh
# No package may start a service on a build host: nothing there would stop it. 101: not allowed (invoke-rc.d(8)).
exit 101
