"""The settings of a deployment: typed, frozen, validated once. Imports neither cdktf nor boto3."""
