"""What a Terraform plan means for a fleet: read, put into words, judged, rendered. Nothing here changes anything."""
